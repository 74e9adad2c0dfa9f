"""What the hands of Hydra's users do: its flags, folders, launchers and sweepers; and how what a
run meets is shown."""

import os
import re
from pathlib import Path

import pytest

from mmdiff.apps import doctor, generate
from mmdiff.apps.cli import run_verb
from mmdiff.apps.config import instantiate
from mmdiff.data.worker_status import ReadingFailed
from mmdiff.distributed.strategies import RanksDisagree
from mmdiff.loading.finite import NonFiniteOutput
from mmdiff.training.callbacks.finite_guard import NonFinite
from tests.apps.keys import KEYS

TINY = ["experiment=bounce/diffusion", "backbone=tiny", "text=tiny"]


def seen_by(verb, words):
    seen = []
    assert run_verb(verb, seen.append, words, keys=KEYS[verb]) == 0
    return seen


def code_of(words, action=lambda _: pytest.fail("it ran"), verb="generate"):
    return run_verb(verb, action, words, keys=KEYS.get(verb, {}))


def test_hydras_flags_work(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert code_of(["num_frames=5", "--cfg", "job", "--resolve", "prompt=a, b"]) == 0
    assert "prompt: a, b" in capsys.readouterr().out
    assert code_of(["--info", "defaults"]) == 0
    assert "paths/default" in capsys.readouterr().out
    seen = seen_by("generate", ["-m", "seed=1,2", "prompt='a, b'"])
    assert [(one["seed"], one["prompt"]) for one in seen] == [(1, "a, b"), (2, "a, b")]
    assert len({one["output_dir"] for one in seen}) == 2
    assert "evaluation" in seen_by("generate", ["--config-name", "evaluate", "seed=7"])[0]


def test_an_unknown_flag_and_a_pickle_are_refused(capsys):
    assert code_of(["--multrun", "seed=1"]) == 2
    assert "there is no flag --multrun" in capsys.readouterr().err
    assert code_of(["--experimental-rerun", "x.pickle"]) == 2
    assert "refused" in capsys.readouterr().err


def test_hydras_run_dir_is_the_output_dir(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (config,) = seen_by("generate", ["hydra.run.dir=out (1)/${hydra.job.name}"])
    assert config["output_dir"] == "out (1)/generate"
    words = ["-m", "seed=1,2", "hydra.sweep.dir=s", "hydra.sweep.subdir=${seed}"]
    swept = seen_by("generate", words)
    assert [Path(one["output_dir"]).parts[-2:] for one in swept] == [("s", "1"), ("s", "2")]


def test_a_tilde_is_the_home_folder_in_every_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", home := str(tmp_path / "home"))
    words = ["image=~/a (1).png", "output_dir=~/out", "paths.outputs=~/all", "prompt=~/no path"]
    words += ["condition=keyframes", "condition.images={0: '~/k.png'}"]
    (config,) = seen_by("generate", words)
    assert config["image"] == f"{home}/a (1).png" and config["output_dir"] == f"{home}/out"
    assert config["condition"]["images"] == {0: f"{home}/k.png"}
    assert config["prompt"] == "~/no path"
    swept = seen_by("generate", ["-m", "seed=1,2", "output_dir=~/sweep"])
    assert [one["output_dir"] for one in swept] == [f"{home}/sweep/0", f"{home}/sweep/1"]
    assert os.listdir(tmp_path) == ["home"]


def test_folders_and_files_of_the_users_own(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my conf" / "guidance").mkdir(parents=True)
    mine = "_target_: mmdiff.guidance.backbone_guiders.Autoguidance\ntransformer: ???\n"
    (tmp_path / "my conf" / "guidance" / "mine.yaml").write_text(mine)
    (tmp_path / "my conf" / "root.yaml").write_text("defaults: [generate, _self_]\nseed: 7\n")
    words = ["--config-dir=my conf", "guidance=mine", "guidance.transformer=a (1), b"]
    (config,) = seen_by("generate", words)
    assert config["guidance"]["transformer"] == "a (1), b"
    words = ["-m", "--config-dir", "my conf", "guidance=mine", "guidance.transformer=a,b"]
    assert len(seen_by("generate", words)) == 2
    (config,) = seen_by("generate", ["-cd", "my conf", "-cn", "root"])
    assert config["seed"] == 7
    assert generate.main(["--info", "seed=3"]) == 0
    assert "Config search path" in capsys.readouterr().out
    assert generate.main(["-cd", "nowhere"]) == 2
    assert "--config-dir nowhere is no folder" in capsys.readouterr().err


def test_one_file_for_all_jobs_of_a_sweep_is_refused_before_the_first(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    words = ["-m", "prompt=a", "seed=0,1"]
    assert code_of([*words, "output=x.mp4"]) == 2
    shown = capsys.readouterr().err
    assert "every job of -m would write output=x.mp4" in shown
    assert "output=x-${hydra:job.num}.mp4" in shown
    swept = seen_by("generate", [*words, "output=x-${hydra:job.num}.mp4"])
    assert [one["output"] for one in swept] == ["x-0.mp4", "x-1.mp4"]
    assert len(seen_by("generate", ["-m", "output=a.mp4,b.mp4"])) == 2


@pytest.mark.parametrize(
    "word, names",
    [
        ("logger=csv", ["CSVLogger"]),
        ("logger=[csv,tensorboard]", ["CSVLogger", "TensorBoardLogger"]),
        ("logger=null", []),
        ("~logger", []),
        ("logger.csv.name=mine", ["CSVLogger", "TensorBoardLogger"]),
    ],
)
def test_loggers_are_a_group(word, names, tmp_path):
    (config,) = seen_by("train", [*TINY, word, f"output_dir={tmp_path}"])
    loggers = [instantiate(node) for node in (config.get("logger") or {}).values()]
    assert [type(one).__name__ for one in loggers] == names


def test_a_callback_is_added_as_a_node():
    word = "+callbacks.lr={_target_: lightning.pytorch.callbacks.LearningRateMonitor}"
    (config,) = seen_by("train", [*TINY, word])
    assert type(instantiate(config["callbacks"]["lr"])).__name__ == "LearningRateMonitor"


def test_jobs_run_in_processes_of_joblib(tmp_path, capfd):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    words = ["-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    asked = [*words, "min_free_gigabytes=0,1", f"output_dir={tmp_path}", "checkpoint=/nowhere"]
    assert doctor.main(asked) == 1  # the exit code of its worst job
    assert {"0", "1"} <= set(os.listdir(tmp_path))
    assert "Traceback" not in capfd.readouterr().err


def test_a_sweeper_is_given_the_value_of_each_job(tmp_path):
    """What `mmdiff train` gives is what an optimising sweeper makes small."""
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    words = ["-m", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=4", "hydra.sweeper.n_jobs=1"]
    seen = []

    def action(config):
        seen.append(config["guidance_scale"])
        return (config["guidance_scale"] - 3.0) ** 2

    space = "guidance_scale=interval(1,5)"
    assert code_of([*words, space, f"output_dir={tmp_path}"], action) == 0
    best = (tmp_path / "optimization_results.yaml").read_text()
    assert f"best_value: {min((one - 3.0) ** 2 for one in seen)}" in best


@pytest.mark.parametrize("value", ["1" + "0" * 39, "-" + "9" * 40, "9" * 5000, "1e400"])
def test_a_number_too_large_is_one_screen(value, capsys):
    assert code_of([f"seed={value}"]) == 2
    screen = capsys.readouterr().err
    assert "Traceback" not in screen and len(screen.splitlines()) < 8


def raises(error):
    def action(_):
        raise error

    return action


@pytest.mark.parametrize(
    "error",
    [
        NonFinite("step 7: the loss of video is not finite for samples [3]"),
        ReadingFailed("worker 1 failed at sample 7, cat.mp4: KeyError: 'pts'"),
        NonFiniteOutput("the vae made NaN at step 3"),
        RanksDisagree("step 3: rank 1 says why"),
        OSError(28, "cannot write a.mp4: no space left on device; no file was left"),
        MemoryError("33 frames need 9 GB"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_a_run_meets_is_reported_on_one_screen(error, capsys):
    assert code_of([], raises(error), "doctor") == 1
    shown = capsys.readouterr().err
    assert shown.startswith("mmdiff doctor: ") and "Traceback" not in shown
    assert re.sub(r"^\[Errno 28\] ", "", str(error)) in shown
    assert len(shown.splitlines()) == 2


def test_a_fault_of_ours_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        code_of([], raises(ZeroDivisionError("division by zero")), "doctor")
