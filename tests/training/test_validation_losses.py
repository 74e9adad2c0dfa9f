"""Validation tells, and changes nothing; the best stays, and a run that gets no better ends."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import EarlyStopping

from mmdiff.data.batch import LatentBatch
from mmdiff.training.checkpoint_folder import checkpoints_in
from mmdiff.training.validation_losses import ValidationLosses
from mmdiff.values.latents import ClipLatents
from tests.training.tiny import Losses, Rising, assert_equal, state, train
from tests.training.tiny_diffusion import CAPTIONS, tiny_diffusion


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("workers", [0, 1])
def test_validation_changes_no_bit_of_training(
    tmp_path: Path, accumulate: int, workers: int
) -> None:
    """Also where every batch is followed by one, and its tensors are made in inference mode."""
    settings: dict[str, Any] = {"accumulate": accumulate, "workers": workers}
    train(tmp_path / "without", 7, **settings)
    found = Losses()
    train(tmp_path / "with", 7, val_clips=5, val_check_interval=1, callbacks=[found], **settings)
    assert_equal(state(tmp_path / "with"), state(tmp_path / "without"))
    assert sorted(found.found) == list(range(1, 8)) and len(set(found.found.values())) == 7


@pytest.mark.parametrize("accumulate", [1, 3])
def test_c3_a_run_with_validation_resumes_bit_for_bit(tmp_path: Path, accumulate: int) -> None:
    """Cut before, at and after a validation; what it finds, and what an end by it counts, too."""
    settings: dict[str, Any] = {
        "accumulate": accumulate,
        "val_clips": 5,
        "val_check_interval": 3 * accumulate,
    }

    def run(name: str, steps: int, seen: Losses) -> EarlyStopping:
        stop = EarlyStopping("val/loss", patience=99)
        train(tmp_path / name, steps, callbacks=[seen, stop], **settings)
        return stop

    whole = Losses()
    stop = run("whole", 8, whole)
    assert sorted(whole.found) == [3, 6]
    for cut in (2, 3, 4):
        seen, name = Losses(), f"cut{cut}"
        run(name, cut, seen)
        resumed = run(name, 8, seen)
        assert seen.found == whole.found
        assert resumed.state_dict() == stop.state_dict()
        assert_equal(state(tmp_path / name), state(tmp_path / "whole"))


def test_early_stopping_ends_a_run_with_a_checkpoint(tmp_path: Path) -> None:
    stop = EarlyStopping("val/loss", patience=2)
    module = Rising([3.0, 2.0, 2.5, 2.5, 1.0])
    settings = {"val_clips": 5, "val_check_interval": 1, "every": None}
    train(tmp_path, 100, module=module, callbacks=[stop], **settings)
    assert module.global_step == 4 and checkpoints_in(tmp_path)[0].name == "step_00000004"


def test_without_data_to_validate_on_nothing_is_validated(tmp_path: Path) -> None:
    found = Losses()
    train(tmp_path, 4, val_check_interval=1, callbacks=[found])
    assert not found.found


def _latents(ids: list[int]) -> LatentBatch:
    rows = [torch.Generator().manual_seed(number) for number in ids]
    return LatentBatch(
        ClipLatents(
            video=torch.stack([torch.randn(4, 2, 2, 2, generator=g) for g in rows]),
            audio=torch.stack([torch.randn(2, 8, 4, generator=g) for g in rows]),
        ),
        tuple(CAPTIONS[number % 2] for number in ids),
        tuple(ids),
    )


def test_validation_of_diffusion_depends_on_clips_alone() -> None:
    """Not on the batches they come in, the seed of the run or its step; and of the averages."""

    def means(batches: list[list[int]], seed: int) -> dict[str, float]:
        module = tiny_diffusion(perturbation=0.1, seed=seed)
        with torch.no_grad():
            for parameter in module.trained.parameters():
                parameter.zero_()
        module.trainer = pl.Trainer(accelerator="cpu", logger=False)
        losses = ValidationLosses()
        for index, ids in enumerate(batches):
            with torch.no_grad():
                losses.add(module.losses_of(_latents(ids), index), ids)
        return losses.means(1)

    whole = means([[0, 1, 2, 3]], seed=0)
    quarters = [f"loss/t_q{part}" for part in (1, 2, 3, 4)]
    assert sorted(whole) == ["loss", "loss/audio", *quarters, "loss/video"]
    for other in (means([[0, 1, 2], [3]], seed=1), means([[2, 3], [0, 1], [1, 2]], seed=2)):
        assert other == pytest.approx(whole, rel=1e-5)
    assert sum(whole[name] for name in quarters) / 4 == pytest.approx(whole["loss"], rel=1e-6)
    assert whole["loss/video"] + whole["loss/audio"] == pytest.approx(whole["loss"], rel=1e-6)


@pytest.mark.parametrize(
    ("settings", "epochs", "batches"),
    [
        ({"limit_train_batches": 2}, [2, 2, 2], None),
        ({"limit_train_batches": 0.4}, [2, 2, 2], None),
        ({"max_epochs": 1}, [5], None),
        ({"max_epochs": 2, "limit_train_batches": 0.6}, [3, 3], None),
        ({"overfit_batches": 2}, [2, 2, 2], 2),
        ({"overfit_batches": 0.4}, [2, 2, 2], 2),
        ({}, [6], None),
        ({"fast_dev_run": 2}, [2], None),
    ],
)
def test_keys_of_the_trainer_do_what_they_say(
    tmp_path: Path, settings: dict[str, Any], epochs: list[int], batches: int | None
) -> None:
    """A pass over the 22 clips is 5 batches of 4. Epochs as they passed, and how many different
    batches there were."""

    class Count(Callback):
        passed: list[int] = []

        def on_train_epoch_start(self, trainer: pl.Trainer, *arguments: Any) -> None:
            self.passed = [*self.passed, 0]

        def on_train_batch_end(self, trainer: pl.Trainer, *arguments: Any) -> None:
            self.passed[-1] += 1

    count = Count()
    module = train(tmp_path, 6, callbacks=[count], val_clips=5, **settings)
    assert [number for number in count.passed if number] == epochs
    assert len(set(module.seen)) == (batches or sum(epochs))


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ({"val_check_interval": 2}, [2, 4, 6]),
        ({"val_check_interval": 0.4}, [2, 4, 6]),
        ({}, [5]),  # Lightning's own: once in a pass
        ({"check_val_every_n_epoch": 2, "limit_train_batches": 2}, [4]),
        ({"limit_train_batches": 3, "val_check_interval": 1.0}, [3, 6]),
        ({"limit_train_batches": 2, "val_check_interval": 4}, [4]),
        ({"limit_val_batches": 0}, []),
    ],
)
def test_validation_comes_as_often_as_is_asked_for(
    tmp_path: Path, settings: dict[str, Any], steps: list[int]
) -> None:
    found = Losses()
    train(tmp_path, 6, callbacks=[found], val_clips=5, **settings)
    assert sorted(found.found) == steps


def test_gradients_are_clipped_by_value_where_that_is_asked_for(tmp_path: Path) -> None:
    class Largest(Callback):
        seen: list[float] = []

        def on_before_zero_grad(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
            gradients = [p.grad for p in pl_module.trained.parameters() if p.grad is not None]
            if gradients:
                self.seen = [*self.seen, max(float(g.abs().max()) for g in gradients)]

    largest = Largest()
    train(tmp_path, 3, callbacks=[largest], gradient_clip_val=1e-3, gradient_clip_algorithm="value")
    assert largest.seen and max(largest.seen) == pytest.approx(1e-3)


@pytest.mark.parametrize("limit", [{"limit_train_batches": 3}, {"overfit_batches": 2}])
def test_c3_a_run_with_epochs_resumes_bit_for_bit(tmp_path: Path, limit: dict[str, int]) -> None:
    whole = train(tmp_path / "whole", 7, **limit)
    for cut in (2, 3):
        first = train(tmp_path / f"cut{cut}", cut, **limit)
        second = train(tmp_path / f"cut{cut}", 7, **limit)
        assert first.seen + second.seen == whole.seen
        ours, theirs = state(tmp_path / f"cut{cut}"), state(tmp_path / "whole")
        assert_equal(ours, theirs)


def test_a_batch_that_two_ranks_have_seen_counts_once() -> None:
    losses = ValidationLosses()
    losses.add({"loss": torch.tensor([1.0, 2.0])}, [0, 1])
    losses.add({"loss": torch.tensor([2.0])}, [1])
    losses.add({"loss": torch.tensor(6.0)}, [2, 3])
    assert losses.means(1) == {"loss": 15 / 4}
