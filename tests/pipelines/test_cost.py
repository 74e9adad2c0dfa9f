"""What a call costs: estimates against calls that are timed, and advice that fits."""

import time
import warnings
from dataclasses import replace

import pytest
import torch

from mmdiff.pipelines import cost
from mmdiff.pipelines.cost import CallSize, check_cost, free_bytes, in_words
from mmdiff.pipelines.pipeline import MMDiffPipeline
from mmdiff.values.shapes import LatentGrid

CPU = torch.device("cpu")
SMALL = CallSize(
    num_frames=33,
    height=64,
    width=64,
    batch_size=1,
    num_steps=20,
    passes=2,
    patch=2,
    token_width=256,
    num_weights=10**7,
    grid=LatentGrid(),
)


def test_more_of_anything_needs_more_memory_and_time() -> None:
    needed, operations = SMALL.cost()
    for name in ("num_frames", "height", "width", "batch_size", "passes", "token_width"):
        more = replace(SMALL, **{name: 101 * getattr(SMALL, name)}).cost()
        assert more[0] > needed
        # the number of weights, not their width, says how much they compute
        assert more[1] > operations or name == "token_width"
    assert needed < 100e6


@pytest.mark.parametrize("free", [5e8, 2e9])
def test_its_advice_fits(monkeypatch: pytest.MonkeyPatch, free: float) -> None:
    monkeypatch.setattr(cost, "free_bytes", lambda device: int(free))
    size = replace(SMALL, num_frames=330_001)
    with pytest.raises(ValueError, match=r"num_frames=330001, height=64") as caught:
        check_cost(size, CPU)
    advice = int(str(caught.value).rsplit("num_frames=", 1)[1].split()[0])
    check_cost(replace(size, num_frames=advice), CPU)


def test_free_memory_is_known_or_none() -> None:
    free = free_bytes(CPU)
    assert free is not None and free > 0
    assert free_bytes(torch.device("meta")) is None


def test_a_call_takes_what_is_estimated_within_a_factor_of_four(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pipe = MMDiffPipeline.from_pretrained()
    pipe.set_progress_bar_config(disable=True)
    clock = time.process_time  # of this process: others may run on this machine
    monkeypatch.setattr(cost.time, "perf_counter", clock)
    weights = sum(weight.numel() for weight in pipe.transformer.parameters())
    size = replace(SMALL, height=128, width=128, num_steps=2, num_weights=weights)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        estimated = size.cost()[1] / cost.operations_per_second(CPU)
        began = clock()
        pipe("a", num_frames=33, height=128, width=128, num_inference_steps=2)
        taken = clock() - began
    finally:
        torch.set_num_threads(threads)
    assert estimated / 4 < taken < 4 * estimated


def test_only_what_takes_long_is_said_before_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_cost(SMALL, CPU)
    monkeypatch.setattr(cost, "free_bytes", lambda device: None)
    huge = replace(SMALL, num_frames=4001, height=2048, width=2048, num_steps=50)
    with pytest.warns(
        UserWarning, match=r"num_frames=4001, .* 50 steps take about .* (hours|days)"
    ):
        check_cost(huge, CPU)


def test_seconds_in_words() -> None:
    assert [in_words(one) for one in (1500, 3 * 3600, 10**6)] == [
        "25 minutes",
        "3 hours",
        "12 days",
    ]
