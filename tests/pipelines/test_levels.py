"""I3: levels that a caller gives: legal ones run, others are refused by name, value and range."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler, EulerDiscreteScheduler, UniPCMultistepScheduler

from mmdiff.pipelines.levels import check_levels
from mmdiff.pipelines.pipeline import MMDiffPipeline
from tests.pipelines.tiny import tiny_pipeline

NAN, INF = float("nan"), float("inf")


@pytest.fixture(scope="module")
def pipe() -> MMDiffPipeline:
    return tiny_pipeline()


REFUSED: list[tuple[str, Any, str]] = [
    ("sigmas", [], "sigmas has 0 levels; with this scheduler it must have from 1 to 1000"),
    (
        "sigmas",
        [0.5] * 2000,
        "sigmas has 2000 levels; with this scheduler it must have from 1 to 1000",
    ),
    ("sigmas", torch.zeros(0), "sigmas has 0 levels"),
    ("sigmas", 7, r"sigmas is a int; .* such as \[1.0, 0.75"),
    ("sigmas", "x", "sigmas is a str; it must be a list"),
    ("sigmas", torch.tensor(1.0), "sigmas is a Tensor; it must be a list"),
    ("sigmas", [[1.0]], r"sigmas\[0\] is \[1.0\]; it must be a number"),
    ("sigmas", ["a"], r"sigmas\[0\] is 'a'; it must be a number"),
    ("sigmas", [1.0, None], r"sigmas\[1\] is None; it must be a number"),
    ("sigmas", [True], r"sigmas\[0\] is True; it must be a number"),
    ("sigmas", [NAN], r"sigmas\[0\] is nan; .* above 0 up to 1"),
    ("sigmas", [INF], r"sigmas\[0\] is inf; .* above 0 up to 1"),
    ("sigmas", [10**400], r"sigmas\[0\] is inf; .* above 0 up to 1"),
    ("sigmas", [2.0, 1.0], r"sigmas\[0\] is 2; .* above 0 up to 1"),
    ("sigmas", [1.0, 0.0], r"sigmas\[1\] is 0; .* which is clean, comes by itself"),
    ("sigmas", [-1.0], r"sigmas\[0\] is -1; .* above 0"),
    ("sigmas", [0.1, 0.9], r"sigmas\[1\] is 0.9 after 0.1; levels must fall"),
    ("sigmas", [0.5, 0.5], r"sigmas\[1\] is 0.5 after 0.5; levels must fall"),
    ("timesteps", [], "timesteps has 0 levels"),
    ("timesteps", 7, r"timesteps is a int; .* such as \[999, 750"),
    ("timesteps", ["a"], r"timesteps\[0\] is 'a'"),
    ("timesteps", [NAN], r"timesteps\[0\] is nan; .* above 0 up to 1000"),
    ("timesteps", [10**12], r"timesteps\[0\] is 1e\+12; .* above 0 up to 1000"),
    ("timesteps", [-5], r"timesteps\[0\] is -5; .* above 0 up to 1000"),
    ("timesteps", [5, 999], r"timesteps\[1\] is 999 after 5; levels must fall"),
]


@pytest.mark.parametrize(("name", "value", "message"), REFUSED)
def test_i3_impossible_levels(pipe: MMDiffPipeline, name: str, value: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        pipe("red", **{name: value})


def test_i3_both_at_once_are_refused(pipe: MMDiffPipeline) -> None:
    with pytest.raises(ValueError, match="sigmas and timesteps are both given; give one"):
        pipe("red", sigmas=[1.0, 0.5], timesteps=[999, 500])


def test_lists_tuples_arrays_and_tensors_say_the_same(pipe: MMDiffPipeline) -> None:
    levels = (1.0, 0.5)
    first = None
    for sigmas in (levels, list(levels), np.array(levels), torch.tensor(levels)):
        out = pipe(
            "red",
            sigmas=sigmas,
            generator=torch.Generator().manual_seed(0),
            output_type="latent",
            modalities="audio",
        )
        assert pipe.num_timesteps == 2
        first = out.audio if first is None else first
        assert torch.equal(out.audio, first)
    check_levels([Fraction(1, 2), np.float32(0.25)], None, [pipe.scheduler])


def test_the_limits_are_those_of_all_schedulers_of_a_call(pipe: MMDiffPipeline) -> None:
    flow, explode = pipe.scheduler, EulerDiscreteScheduler()
    tabled = DDPMScheduler(num_train_timesteps=500)
    for schedulers, levels in (
        ([explode], {"sigmas": [80.0, 1.0, 0.0]}),
        ([explode], {"sigmas": [80.0, 1.0]}),
        ([tabled], {"timesteps": [499, 0]}),
    ):
        check_levels(levels.get("sigmas"), levels.get("timesteps"), schedulers)
    for schedulers, levels, said in (
        ([explode, flow], {"sigmas": [80.0, 1.0]}, "above 0 up to 1"),
        ([UniPCMultistepScheduler(use_flow_sigmas=True)], {"sigmas": [2.0]}, "above 0 up to 1"),
        ([explode], {"sigmas": [80.0]}, "must have from 2"),
        ([explode], {"sigmas": [0.0, 0.0]}, r"sigmas\[0\] is 0;"),
        ([flow, tabled], {"timesteps": [500]}, "up to 499"),
        ([tabled], {"timesteps": [10.5]}, "counts whole steps: 10"),
    ):
        with pytest.raises(ValueError, match=said):
            check_levels(levels.get("sigmas"), levels.get("timesteps"), schedulers)


def test_legal_levels_run_with_schedulers_of_each_family() -> None:
    pipe = tiny_pipeline()
    for scheduler, levels in (
        (EulerDiscreteScheduler(), {"sigmas": [14.0, 1.0, 0.0]}),
        (EulerDiscreteScheduler(), {"timesteps": [999, 300]}),
        (DDPMScheduler(), {"timesteps": [999, 300]}),
        (pipe.scheduler, {"timesteps": [1000, 300]}),
    ):
        pipe.scheduler = scheduler
        out = pipe("red", output_type="latent", **levels)
        assert torch.isfinite(out.frames).all() and pipe.num_timesteps == 2
