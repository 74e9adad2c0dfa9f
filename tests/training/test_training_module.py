"""A run that was cut short and resumed equals the unbroken one, bit for bit."""

import hashlib
import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from torch.optim import AdamW
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    SequentialLR,
    StepLR,
)

from mmdiff.diffusion.noise import NoiseKey, keyed_noise
from mmdiff.distributed.strategies import data_parallel
from mmdiff.training.callbacks.save_checkpoints import SaveCheckpoints
from mmdiff.training.checkpoint_folder import checkpoints_in, latest_checkpoint
from mmdiff.training.optimizers import MuonAdamW
from mmdiff.training.schedules import Constant, OneCycle, WarmupDecay
from tests.distributed.processes import run_ranks
from tests.training.forked import Killer
from tests.training.tiny import Losses, TinyModule, assert_equal, state, train
from tests.training.vectors_of_files import vectors_of, write_files


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("workers", [0, 2])
def test_c3_resumed_equals_unbroken_at_any_place(
    tmp_path: Path, accumulate: int, workers: int
) -> None:
    """An epoch has 5 batches, so the places lie before, at and after its end."""
    whole = train(tmp_path / "whole", 8, accumulate=accumulate)
    cuts = (1, 4, 5, 6) if workers == 0 else (5, 6)
    for cut in cuts:
        folder = tmp_path / f"cut{cut}"
        first = train(folder, cut, accumulate=accumulate, workers=workers)
        second = train(folder, 8, accumulate=accumulate, workers=workers, global_seed=99)
        assert first.seen + second.seen == whole.seen
        assert_equal(state(folder), state(tmp_path / "whole"))


@pytest.mark.parametrize("accumulate", [1, 3])
def test_c1_killed_and_resumed_equals_unbroken(tmp_path: Path, accumulate: int) -> None:
    """Killed with -9 wherever it stands, half of the times inside a save; 50 times with `-m
    faults`."""

    def run(folder: Path, callbacks: list[Callback]) -> None:
        train(folder, 20, accumulate=accumulate, every=5, callbacks=callbacks)

    killer = _killed_like_whole(run, tmp_path, kills=3, seed=accumulate)
    assert killer.most_lost <= 5


@pytest.mark.parametrize("workers", [0, 1])
def test_v3_bad_files_killed_and_resumed_equal_unbroken(tmp_path: Path, workers: int) -> None:
    """What stands in for a bad file does not depend on where a run was cut."""
    files = write_files(tmp_path / "files")

    def run(folder: Path, callbacks: list[Callback]) -> None:
        settings = {"dataset": vectors_of(files), "workers": workers, "callbacks": callbacks}
        train(folder, 20, every=5, **settings)

    _killed_like_whole(run, tmp_path, kills=2, seed=workers)


def _killed_like_whole(
    run: Callable[[Path, list[Callback]], None], folder: Path, *, kills: int, seed: int
) -> Killer:
    """Every run that was killed and resumed ends with the state of the unbroken one."""
    run(folder / "whole", [])
    killer, number = Killer(run, steps=20, interval=5, seed=seed), 0
    while killer.kills < kills:
        killed = folder / f"killed{number}"
        killer.run(killed, kills=kills - killer.kills)
        assert_equal(state(killed), state(folder / "whole"))
        number += 1
    return killer


def test_c5_damaged_checkpoints_are_skipped_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train(tmp_path, 2)
    weights = "weights.safetensors"
    for number, harm in enumerate((_truncate, _empty, _flip, Path.unlink, _foreign)):
        train(tmp_path, 3 + number)
        newest, previous = checkpoints_in(tmp_path)[:2]
        name = "manifest.json" if harm is _foreign else weights
        harm(newest / name)
        caplog.clear()
        assert latest_checkpoint(tmp_path) == previous
        assert str(newest) in caplog.text
        with pytest.raises(ValueError, match=newest.name):
            latest_checkpoint(tmp_path, strict=True)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def _foreign(path: Path) -> None:
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 99'))


def test_c11_a_run_resumes_without_pickle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(tmp_path, 3)

    def refuse(*arguments: Any, **settings: Any) -> None:
        raise AssertionError("pickle was used")

    for name in ("pickle.load", "pickle.loads", "pickle.Unpickler", "torch.load"):
        monkeypatch.setattr(name, refuse)
    train(tmp_path, 5)
    assert checkpoints_in(tmp_path)[0].name == "step_00000005"


SCHEMAS = Path(__file__).parent / "checkpoints"


@pytest.mark.parametrize("schema", sorted(path.name for path in SCHEMAS.iterdir()))
def test_c12_checkpoints_of_every_schema_load_and_train_on(tmp_path: Path, schema: str) -> None:
    """The fixture is step 3 of the run of 5 steps that this test also makes."""
    shutil.copytree(SCHEMAS / schema, tmp_path / "old")
    train(tmp_path / "old", 5)
    train(tmp_path / "new", 5)
    old, new = state(tmp_path / "old"), state(tmp_path / "new")
    assert old.keys() == new.keys()
    for name in (name for name in new if "state_dict" in name):
        # another machine than the one that made the fixture rounds otherwise
        torch.testing.assert_close(old[name], new[name], rtol=1e-3, atol=1e-4, msg=name)


def test_c12_the_fixture_of_schema_1_is_what_was_released() -> None:
    folder = SCHEMAS / "schema_1" / "step_00000003"
    text = (folder / "manifest.json").read_bytes()
    assert hashlib.sha256(text).hexdigest()[:16] == "025b577f305c9abd"
    assert latest_checkpoint(folder.parent, strict=True) == folder


def test_c10_a_new_learning_rate_takes_effect_and_the_old_one_changes_nothing(
    tmp_path: Path,
) -> None:
    """A checkpoint brings its rates along; the configuration has the last word."""

    def rates(lr: float) -> tuple[list[float], list[float]]:
        optimizer = partial(MuonAdamW, lr=lr, adamw_lr=lr / 2)
        module = train(tmp_path, 5, module=TinyModule(optimizer))
        return [g["lr"] for g in module.optimizers().param_groups], module.lr_schedulers().base_lrs

    train(tmp_path, 4, module=TinyModule(partial(MuonAdamW, lr=1e-2, adamw_lr=0.5e-2)))
    (before, old_bases) = rates(1e-2)
    shutil.rmtree(tmp_path / "step_00000005")
    (after, bases) = rates(4e-2)
    assert old_bases == [1e-2, 0.5e-2] and bases == [4e-2, 2e-2]
    assert after == pytest.approx([4 * rate for rate in before])


def _warm_then_cosine(optimizer: Any, length: int) -> SequentialLR:
    parts = [LinearLR(optimizer, 0.1, total_iters=2), CosineAnnealingLR(optimizer, length)]
    return SequentialLR(optimizer, parts, milestones=[2])


SCHEDULES = {
    "CosineAnnealingLR": (
        partial(CosineAnnealingLR, T_max=10),
        partial(CosineAnnealingLR, T_max=100),
    ),
    "StepLR": (partial(StepLR, step_size=3), partial(StepLR, step_size=1000)),
    "MultiStepLR": (partial(MultiStepLR, milestones=[2]), partial(MultiStepLR, milestones=[3, 5])),
    "restarts": tuple(partial(CosineAnnealingWarmRestarts, T_0=t) for t in (3, 5)),
    "OneCycleLR": tuple(partial(OneCycleLR, max_lr=0.1, total_steps=t) for t in (10, 100)),
    "SequentialLR": tuple(partial(_warm_then_cosine, length=t) for t in (10, 100)),
    "OneCycle": (partial(OneCycle, total_steps=10), partial(OneCycle, total_steps=100)),
    "WarmupDecay": (partial(WarmupDecay, total_steps=10), partial(WarmupDecay, total_steps=100)),
    "another kind": (partial(CosineAnnealingLR, T_max=10), Constant),
    "back again": (Constant, partial(OneCycleLR, max_lr=0.1, total_steps=10)),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_c10_a_changed_schedule_takes_effect_and_an_unchanged_one_changes_nothing(
    tmp_path: Path, name: str
) -> None:
    """Rates (and momenta, where a schedule moves them) are those of an unbroken run with the new
    configuration, from the first step on."""

    def trained(folder: str, steps: int, *, schedule: Any, lr: float = 1e-2) -> list[Any]:
        module = TinyModule(lambda named: AdamW([p for _, p in named], lr=lr, foreach=False))
        module.make_lr_scheduler = schedule
        groups = KeepGroups()
        train(tmp_path / folder, steps, module=module, every=4, callbacks=[groups])
        return groups.seen

    old, new = SCHEDULES[name]
    whole = trained("whole", 8, schedule=old)
    assert trained("parts", 4, schedule=old) + trained("parts", 8, schedule=old) == whole
    assert_equal(state(tmp_path / "parts"), state(tmp_path / "whole"))
    wanted = trained("new", 8, schedule=new, lr=3e-2)
    trained("changed", 4, schedule=old)
    assert trained("changed", 8, schedule=new, lr=3e-2) == wanted[4:] != whole[4:]
    assert state(tmp_path / "changed")["rest"].equal(state(tmp_path / "new")["rest"])


class KeepGroups(Callback):
    """The settings of the optimizer in each step."""

    def __init__(self) -> None:
        self.seen: list[list[dict[str, Any]]] = []

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        groups = optimizer.param_groups
        self.seen.append([{n: v for n, v in g.items() if n != "params"} for g in groups])


def _two_ranks(folder: Path, steps: int, accumulate: int = 1) -> list[tuple[int, ...]]:
    strategy = data_parallel(backend="gloo", timeout_seconds=20)
    module = train(folder, steps, devices=2, strategy=strategy, accumulate=accumulate)
    return module.seen


def test_c4_two_ranks_equal_one_and_may_take_turns(tmp_path: Path) -> None:
    """20 steps on one rank; on two; and on 1, 2, 1 in turn: the same samples and noise, weights to
    1e-6."""
    one = train(tmp_path / "one", 20)
    seen = run_ranks(lambda: _two_ranks(tmp_path / "two", 20), 2)
    assert [a + b for a, b in zip(*seen, strict=True)] == one.seen
    _assert_close(tmp_path / "one", tmp_path / "two")
    first = train(tmp_path / "turns", 6).seen
    second = run_ranks(lambda: _two_ranks(tmp_path / "turns", 13), 2)
    third = train(tmp_path / "turns", 20).seen
    assert first + [a + b for a, b in zip(*second, strict=True)] + third == one.seen
    _assert_close(tmp_path / "one", tmp_path / "turns")


def test_c3_two_ranks_resume_exactly(tmp_path: Path) -> None:
    run_ranks(lambda: _two_ranks(tmp_path / "whole", 8, 3), 2)
    for steps in (5, 8):
        run_ranks(lambda steps=steps: _two_ranks(tmp_path / "parts", steps, 3), 2)
    assert_equal(state(tmp_path / "whole"), state(tmp_path / "parts"))


def test_two_ranks_validate_what_one_does_and_keep_the_best(tmp_path: Path) -> None:
    """Seven clips in batches of four: the last one is of three, and the ranks have as many."""

    def run(folder: Path, **settings: Any) -> dict[int, float]:
        found = Losses()
        save = SaveCheckpoints(str(folder), every_n_steps=4)
        train(
            folder, 4, val_clips=7, val_check_interval=2, callbacks=[found], save=save, **settings
        )
        return found.found

    def rank() -> dict[int, float]:
        strategy = data_parallel(backend="gloo", timeout_seconds=20)
        return run(tmp_path / "two", devices=2, strategy=strategy)

    one = run(tmp_path / "one")
    for found in run_ranks(rank, 2):
        assert found == pytest.approx(one, rel=1e-5) and list(found) == [2, 4]
    records = [json.loads((tmp_path / f"{name}.json").read_text()) for name in ("one", "two")]
    assert records[0]["best"] == records[1]["best"]


def _assert_close(one: Path, other: Path) -> None:
    ours, theirs = state(one), state(other)
    assert ours.keys() == theirs.keys()
    names = [name for name in ours if "state_dict" in name]
    whole, other_whole = (torch.cat([s[n].ravel() for n in names]) for s in (ours, theirs))
    assert float((other_whole - whole).norm() / whole.norm()) <= 1e-6


def test_noise_differs_between_ranks() -> None:
    """The ids of the samples on a rank key its noise."""
    first, second = (
        keyed_noise(NoiseKey(TinyModule().seed, 0, ids), "noise", (6,)) for ids in ((0, 1), (2, 3))
    )
    assert not torch.equal(first, second)


@pytest.mark.parametrize("clip", [-1.0, float("nan")])
def test_clipping_that_turns_gradients_round_is_refused(tmp_path: Path, clip: float) -> None:
    with pytest.raises(ValueError, match=rf"gradient_clip_val is {clip}; it must be a finite"):
        train(tmp_path, 2, gradient_clip_val=clip)


def test_clipping_to_0_is_none(tmp_path: Path) -> None:
    train(tmp_path / "none", 3, gradient_clip_val=None)
    train(tmp_path / "zero", 3, gradient_clip_val=0)
    assert_equal(state(tmp_path / "zero"), state(tmp_path / "none"))
