"""What a callback cannot do is refused when it is made, by name, value and range."""

from collections.abc import Callable
from typing import Any

import pytest

from mmdiff.distributed.strategies import data_parallel
from mmdiff.training.callbacks.finite_guard import FiniteGuard
from mmdiff.training.callbacks.progress import ProgressReport
from mmdiff.training.callbacks.sample_clips import SampleClips
from mmdiff.training.callbacks.save_checkpoints import SaveCheckpoints
from mmdiff.training.callbacks.save_components import SaveComponents
from mmdiff.training.callbacks.task_report import TaskReport

LOWEST: list[tuple[Callable[[Any], Any], str, int]] = [
    (lambda n: ProgressReport(every_n_steps=n), "every_n_steps", 1),
    (lambda n: SaveComponents("a", every_n_steps=n), "every_n_steps", 1),
    (lambda n: TaskReport(every_n_steps=n), "every_n_steps", 1),
    (lambda n: SampleClips(print, "a", prompts=(), every_n_steps=n), "every_n_steps", 1),
    (
        lambda n: SampleClips(print, "a", prompts=(), num_inference_steps=n),
        "num_inference_steps",
        1,
    ),
    (lambda n: SaveCheckpoints("a", every_n_steps=n), "every_n_steps", 1),
    (lambda n: SaveCheckpoints("a", every_n_minutes=n), "every_n_minutes", 0),
    (lambda n: SaveCheckpoints("a", keep_last=n), "keep_last", 1),
    (lambda n: FiniteGuard(max_skips=n), "max_skips", 0),
]


@pytest.mark.parametrize(("make", "name", "lowest"), LOWEST)
def test_numbers_below_their_range_are_refused(
    make: Callable[[Any], Any], name: str, lowest: int
) -> None:
    make(lowest)
    for wrong in (lowest - 1, lowest - 5):
        said = f"{name} is {wrong}; it must be a (whole )?number from {lowest} "
        with pytest.raises(ValueError, match=said):
            make(wrong)


@pytest.mark.parametrize("seconds", [0, -1.0, float("nan")])
def test_p4_ranks_never_wait_without_end(seconds: float) -> None:
    with pytest.raises(ValueError, match=f"timeout_seconds is {seconds}; it must be above 0"):
        data_parallel(timeout_seconds=seconds)
