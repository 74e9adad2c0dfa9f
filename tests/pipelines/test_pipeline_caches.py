"""D5: what diffusers' caches of the transformer remember ends with the call."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers.hooks import (
    FasterCacheConfig,
    FirstBlockCacheConfig,
    MagCacheConfig,
    PyramidAttentionBroadcastConfig,
    TaylorSeerCacheConfig,
)

from mmdiff import ClassifierFree
from mmdiff.pipelines.pipeline import MMDiffPipeline
from tests.pipelines.tiny import tiny_pipeline

STEPS = 6
SPATIAL = {"blocks.0.attn1", "blocks.1.attn1"}
TEMPORAL = {f"blocks.{k}.{name}_time.attn" for k in (0, 1) for name in ("video", "audio")}
CROSS = {"blocks.0.attn2", "blocks.1.attn2"}
CACHES: dict[str, Callable[[MMDiffPipeline], Any]] = {
    "first block": lambda pipe: FirstBlockCacheConfig(threshold=0.5),
    "magnitude": lambda pipe: MagCacheConfig(
        threshold=0.5, num_inference_steps=STEPS, mag_ratios=[1.0] * STEPS
    ),
    "taylor": lambda pipe: TaylorSeerCacheConfig(
        cache_interval=2, disable_cache_before_step=1, max_order=1
    ),
    "taylor, lite": lambda pipe: TaylorSeerCacheConfig(
        cache_interval=2, disable_cache_before_step=1, max_order=1, use_lite_mode=True
    ),
    "faster": lambda pipe: FasterCacheConfig(
        spatial_attention_block_skip_range=2,
        temporal_attention_block_skip_range=2,
        spatial_attention_timestep_skip_range=(-1, 901),
        current_timestep_callback=lambda: pipe.current_timestep,
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


def hooked(pipe: MMDiffPipeline, config: Any) -> set[str]:
    """The parts of the transformer, itself left out, on which `config` puts a hook."""
    pipe.transformer.enable_cache(config)
    return {
        name
        for name, module in pipe.transformer.named_modules()
        if name and getattr(module, "_diffusers_hook", None) and module._diffusers_hook.hooks
    }


@pytest.mark.parametrize(
    ("kind", "names"), [("spatial", SPATIAL), ("temporal", TEMPORAL), ("cross", CROSS)]
)
def test_attention_caches_find_each_kind_of_attention(kind: str, names: set[str]) -> None:
    skip = {f"{kind}_attention_block_skip_range": 2}
    config = PyramidAttentionBroadcastConfig(**skip, current_timestep_callback=lambda: 500)
    assert hooked(tiny_pipeline(), config) == names
    if kind != "cross":  # FasterCache never skips it
        only = {"spatial_attention_block_skip_range": None} | skip
        config = FasterCacheConfig(**only, current_timestep_callback=lambda: 500)
        assert hooked(tiny_pipeline(), config) == names
    named = PyramidAttentionBroadcastConfig(
        **skip,
        **{f"{kind}_attention_block_identifiers": (r"^blocks\.1",)},
        current_timestep_callback=lambda: 500,
    )
    assert all(name.startswith("blocks.1.") for name in hooked(tiny_pipeline(), named))


def test_taylor_seer_predicts_every_attention_and_in_its_lite_mode_the_outputs_alone() -> None:
    assert hooked(tiny_pipeline(), TaylorSeerCacheConfig()) == SPATIAL | TEMPORAL | CROSS
    assert hooked(tiny_pipeline(), TaylorSeerCacheConfig(use_lite_mode=True)) == {
        *("blocks.0", "blocks.1", "video.proj_out", "audio.proj_out")
    }


@pytest.mark.parametrize("name", CACHES)
def test_what_a_cache_makes_is_near_what_it_stands_for(name: str) -> None:
    plain, approximate = run(tiny_pipeline(), 0), run(cached(name), 0)
    for exact, near in zip(plain, approximate, strict=True):
        assert near.shape == exact.shape and bool(near.isfinite().all())
        assert (near - exact).square().mean() < exact.square().mean()


@pytest.mark.parametrize("name", CACHES)
def test_a_guider_that_begins_and_ends_leaves_a_cache_valid(name: str) -> None:
    """Passes come and go, and with them rows of the batch; what was remembered has other rows."""
    latents = run(cached(name), 0, guidance=ClassifierFree(guidance_scale=4.0, interval=(0.3, 0.8)))
    assert [len(half) for half in latents] == [1, 1]
    assert all(bool(half.isfinite().all()) for half in latents)
