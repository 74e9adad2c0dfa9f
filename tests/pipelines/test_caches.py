"""D5: what diffusers' caches of the transformer remember ends with the call."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers.hooks import (
    FirstBlockCacheConfig,
    MagCacheConfig,
    PyramidAttentionBroadcastConfig,
    TaylorSeerCacheConfig,
)

from mmdiff.pipelines.pipeline import MMDiffPipeline
from tests.pipelines.tiny import tiny_pipeline

STEPS = 6
CACHES: dict[str, Callable[[MMDiffPipeline], Any]] = {
    "first block": lambda pipe: FirstBlockCacheConfig(threshold=0.5),
    "magnitude": lambda pipe: MagCacheConfig(
        threshold=0.5, num_inference_steps=STEPS, mag_ratios=[1.0] * STEPS
    ),
    "taylor": lambda pipe: TaylorSeerCacheConfig(
        cache_interval=2, disable_cache_before_step=1, max_order=1
    ),
    "pyramid": lambda pipe: PyramidAttentionBroadcastConfig(
        spatial_attention_block_skip_range=2,
        current_timestep_callback=lambda: pipe.current_timestep,
    ),
}


def cached(name: str) -> MMDiffPipeline:
    pipe = tiny_pipeline()
    pipe.transformer.enable_cache(CACHES[name](pipe))
    return pipe


def run(pipe: MMDiffPipeline, seed: int, **arguments: Any) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    settings = {"output_type": "latent", "num_inference_steps": STEPS} | arguments
    out = pipe(f"clip {seed}", generator=generator, **settings)
    return [out.frames, out.audio]


def equal(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(map(torch.equal, one, other))


def test_d5_a_second_call_is_that_of_a_fresh_pipeline() -> None:
    pipe = tiny_pipeline()
    first = run(pipe, 0)
    assert equal(run(pipe, 1, num_frames=5), run(tiny_pipeline(), 1, num_frames=5))
    assert equal(run(pipe, 0), first)


@pytest.mark.parametrize("name", CACHES)
def test_d5_a_cache_leaves_nothing_to_the_next_call_nor_behind_it(name: str) -> None:
    plain, pipe = run(tiny_pipeline(), 0), cached(name)
    assert not equal(run(pipe, 0), plain), "the cache has no say"
    assert equal(run(pipe, 1), run(cached(name), 1))
    pipe.transformer.disable_cache()
    assert equal(run(pipe, 0), plain)


@pytest.mark.parametrize("name", CACHES)
def test_d5_a_call_that_breaks_off_leaves_nothing_either(name: str) -> None:
    def fails(_pipe: object, index: int, _time: object, _tensors: object) -> None:
        if index == 2:
            raise RuntimeError("enough")

    pipe = cached(name)
    with pytest.raises(RuntimeError, match="enough"):
        run(pipe, 0, callback_on_step_end=fails)
    assert equal(run(pipe, 1), run(cached(name), 1))
