"""The estimate of how long a call takes, against calls that are timed."""

import time
import warnings

import pytest
import torch

from mmdiff.pipelines import duration
from mmdiff.pipelines.duration import in_words, operations, warn_if_slow
from mmdiff.pipelines.memory import CallSize
from mmdiff.pipelines.pipeline import MMDiffPipeline
from mmdiff.values.shapes import LatentGrid

CPU = torch.device("cpu")


def _size(**changes):
    values = {"num_frames": 33, "height": 64, "width": 64, "batch_size": 1, "passes": 2}
    return CallSize(**values | changes, patch=2, token_width=256)


def test_a_call_costs_what_is_estimated_within_a_factor_of_four(monkeypatch):
    pipe = MMDiffPipeline.from_pretrained()
    pipe.set_progress_bar_config(disable=True)
    clock = time.process_time  # of this process: others may run on this machine
    monkeypatch.setattr(duration.time, "perf_counter", clock)
    weights = sum(weight.numel() for weight in pipe.transformer.parameters())
    size = _size(height=128, width=128)
    count = operations(size, pipe.latent_grid, num_steps=2, num_weights=weights)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        estimated = count / duration._operations_per_second(CPU)
        began = clock()
        pipe("a", num_frames=33, height=128, width=128, num_inference_steps=2)
        taken = clock() - began
    finally:
        torch.set_num_threads(threads)
    assert estimated / 4 < taken < 4 * estimated


def test_more_of_anything_takes_longer():
    grid = LatentGrid()
    least = operations(_size(), grid, num_steps=20, num_weights=10**7)
    for more in ({"num_frames": 65}, {"height": 128}, {"batch_size": 2}, {"passes": 3}):
        assert operations(_size(**more), grid, num_steps=20, num_weights=10**7) > least


def test_only_what_takes_long_is_said_before_it_begins():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_if_slow(_size(), LatentGrid(), CPU, num_steps=20, num_weights=10**7)
    huge = _size(num_frames=4001, height=2048, width=2048)
    with pytest.warns(
        UserWarning, match=r"num_frames=4001, .* 50 steps take about .* (hours|days)"
    ):
        warn_if_slow(huge, LatentGrid(), CPU, num_steps=50, num_weights=10**7)


def test_seconds_in_words():
    assert [in_words(one) for one in (1500, 3 * 3600, 10**6)] == [
        "25 minutes",
        "3 hours",
        "12 days",
    ]
