"""What `mmdiff train` makes of validation: on the screen, in files, as the value of a sweep."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import mmdiff
from mmdiff.__main__ import main
from mmdiff.apps import train
from mmdiff.apps.compose import composed, resolved
from mmdiff.apps.resume import find_checkpoint
from mmdiff.apps.run_folder import component_folders
from mmdiff.training.checkpoint_folder import checkpoints_in, read_checkpoint
from mmdiff.training.vocoder_module import VocoderModule
from mmdiff.values.usage_error import UsageError

WORDS = ["experiment=bounce/vocoder", "data.batch_size=2", "data.dataset.dataset.num_clips=20"]


def _config(folder: Path, *words: str) -> dict[str, Any]:
    return resolved(composed("train", [*WORDS, f"output_dir={folder}", *words]), "train")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three steps, with a validation at each second one."""
    folder = tmp_path_factory.mktemp("run")
    words = ["max_steps=3", "data.val_clips=3", "trainer.val_check_interval=2", "logger=csv"]
    value = train.start(_config(folder, *words))
    assert isinstance(value, float)
    assert json.loads((folder / "validation.json").read_text())["val/loss"] == value
    return folder


def test_the_value_of_a_run_is_the_validation_loss_of_what_it_ends_with(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where the last step is between two validations; `validate_only` finds it again."""
    found = json.loads((run / "validation.json").read_text())
    before = sorted(run.rglob("*"))
    words = ["data.val_clips=3", "validate_only=true", "num_threads=1"]
    assert train.start(_config(run, *words)) == pytest.approx(found["val/loss"], rel=1e-5)
    assert "val/loss" in capsys.readouterr().out
    assert sorted(run.rglob("*")) == before
    rows = (run / "metrics" / "version_0" / "metrics.csv").read_text().splitlines()
    place = rows[0].split(",").index("val/loss")
    losses = [row.split(",")[place] for row in rows[1:] if row.split(",")[place]]
    assert len(losses) == 2 and float(losses[1]) == pytest.approx(found["val/loss"])
    record = json.loads((run / "checkpoints.json").read_text())
    assert record["best"] == "step_00000002" and record["last"] == "step_00000003"


def test_the_best_checkpoint_is_validated_and_made_components_of(run: Path, tmp_path: Path) -> None:
    best = run / "checkpoints" / "step_00000002"
    rows = (run / "metrics" / "version_0" / "metrics.csv").read_text().splitlines()
    place = rows[0].split(",").index("val/loss")
    first = next(row.split(",")[place] for row in rows[1:] if row.split(",")[place])
    words = ["data.val_clips=3", "validate_only=true", "ckpt_path=best"]
    assert train.start(_config(run, *words)) == pytest.approx(float(first), rel=1e-5)
    with pytest.raises(UsageError, match="step_00000003, which is newer"):
        find_checkpoint(_config(run, "resume=best"))
    with pytest.raises(UsageError, match="has not validated"):
        find_checkpoint(_config(tmp_path, "resume=best"))
    made = component_folders(best, ("vocoder",), key="vocoder_run", workspace=tmp_path)
    weights = load_file(made["vocoder"] / "diffusion_pytorch_model.safetensors")
    saved = read_checkpoint(best)["state_dict"]
    assert all(torch.equal(w, saved[f"ema.average.{name}"]) for name, w in weights.items())


def test_a_module_is_loaded_from_a_checkpoint(run: Path) -> None:
    newest = checkpoints_in(run / "checkpoints")[0]
    weights = read_checkpoint(newest)["state_dict"]
    for path in (run, str(newest)):
        module = mmdiff.load_from_checkpoint(path)
        assert isinstance(module, VocoderModule) and not module.training
        assert all(torch.equal(weights[name], w) for name, w in module.state_dict().items())
    made_of = {name: getattr(module, name) for name in ("objective", "inputs", "seed")}
    made_of |= {"optimizer": module.make_optimizer, "lr_scheduler": module.make_lr_scheduler}
    again = VocoderModule.load_from_checkpoint(newest, vocoder=module.trained, **made_of)
    assert again.state_dict().keys() == weights.keys()
    with pytest.raises(TypeError, match=r"missing .* required .*'vocoder'"):
        VocoderModule.load_from_checkpoint(newest)
    with pytest.raises(UsageError, match="no checkpoint of mmdiff train"):
        mmdiff.load_from_checkpoint(run / "checkpoints" / "step_99")


@pytest.mark.parametrize(
    "words",
    [
        ["validate_only=true"],
        ["callbacks=early_stopping"],
        [
            "+callbacks.stop={_target_: lightning.pytorch.callbacks.EarlyStopping, "
            "monitor: val/loss}"
        ],
    ],
)
def test_what_waits_for_a_validation_without_data_for_one_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    """And with them it is taken."""
    folder = tmp_path / "run"
    assert main(["train", *WORDS, f"output_dir={folder}", *words]) == 2
    screen = capsys.readouterr().err
    assert "no data are held out" in screen and "data.val_fraction=0.05" in screen
    assert not folder.exists()
    train.check_settings(_config(folder, *words, "data.val_fraction=0.05"))


def test_validate_only_needs_a_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["validate_only=true", "data.val_clips=3", f"output_dir={tmp_path}"]
    assert main(["train", *WORDS, *words]) == 2
    assert "holds no checkpoint to validate" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_search_for_a_rate_is_written_and_changes_the_run_only_where_it_is_asked_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmdiff.apps.worker.NUM_RATES", 14)
    states = {}
    for name, words in {"no": [], "yes": ["lr_find=true"], "use": ["lr_find=use"]}.items():
        folder = tmp_path / name
        assert train.start(_config(folder, "max_steps=2", "logger=csv", *words)) == 0
        content = read_checkpoint(checkpoints_in(folder / "checkpoints")[0])
        states[name] = (content["state_dict"], content["optimizer_states"][0]["param_groups"])
    found = json.loads((tmp_path / "yes" / "lr_find.json").read_text())
    assert len(found["lr"]) == len(found["loss"]) and found["suggestion"] in found["lr"]
    assert all(torch.equal(w, states["yes"][0][name]) for name, w in states["no"][0].items())
    groups = {name: groups[0]["initial_lr"] for name, (_, groups) in states.items()}
    assert groups["use"] == pytest.approx(found["suggestion"]) != groups["no"] == groups["yes"]


def test_lr_find_takes_three_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *WORDS, f"output_dir={tmp_path}", "lr_find=maybe"]) == 2
    assert "use" in capsys.readouterr().err


def test_a_class_of_the_users_own_is_trained_and_read_again_where_it_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mypkg.py").write_text(
        "from mmdiff.autoencoders.vocoder_objective import VocoderObjective\n\n"
        "class Mine(VocoderObjective):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    run, words = tmp_path / "run", ["max_steps=1", "~logger", "objective._target_=mypkg.Mine"]
    with pytest.raises(UsageError, match=r"mypkg\.Mine, which a configuration may not call"):
        train.start(_config(run, *words))
    assert train.start(_config(run, *words, "trust_modules=[mypkg]")) == 0
    with pytest.raises(UsageError, match=r"mypkg\.Mine, which a configuration may not call"):
        mmdiff.load_from_checkpoint(run)
    module = mmdiff.load_from_checkpoint(run, trust_modules=["mypkg"])
    assert type(module.objective).__name__ == "Mine"  # type: ignore[union-attr]
