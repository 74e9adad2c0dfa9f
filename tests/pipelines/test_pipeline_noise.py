"""D4: noise is drawn in fp32 on the CPU and then moved, whatever the run is made in."""

from typing import Any

import pytest
import torch
from torch import Tensor

from mmdiff.pipelines.pipeline import MMDiffPipeline
from mmdiff.values.latents import ClipLatents
from tests.pipelines.tiny import tiny_pipeline

HALVES = ("video", "audio")


def seeded(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def started_from(pipe: MMDiffPipeline, **arguments: Any) -> ClipLatents:
    """What the transformer is given first: at the first step the latents are the noise."""
    seen: list[ClipLatents] = []
    handle = pipe.transformer.register_forward_pre_hook(
        lambda _module, inputs: seen.append(inputs[0])
    )
    settings: dict[str, Any] = {"output_type": "latent", "guidance_scale": 1.0}
    settings |= {"generator": seeded(3, 4)} | arguments
    pipe(["red", "blue"], **settings)
    handle.remove()
    return seen[0]


def drawn_by_hand(shape: tuple[int, ...], generators: list[torch.Generator]) -> Tensor:
    rows = [torch.randn(shape, generator=one, dtype=torch.float32) for one in generators]
    return torch.stack(rows)


def test_d4_the_noise_is_what_the_cpu_draws_in_fp32() -> None:
    pipe, generators = tiny_pipeline(), seeded(3, 4)
    start = started_from(pipe)
    video = drawn_by_hand(pipe.latent_grid.video_shape(9, 32, 32), generators)
    audio = drawn_by_hand(pipe.latent_grid.audio_shape(9), generators)
    assert torch.equal(start.video, video) and torch.equal(start.audio, audio)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_d4_a_run_in_half_precision_starts_from_the_fp32_noise_rounded(dtype: torch.dtype) -> None:
    exact = started_from(tiny_pipeline())
    half = started_from(tiny_pipeline().to(dtype))
    for name in HALVES:
        assert half.get(name).dtype == dtype
        assert torch.equal(half.get(name), exact.get(name).to(dtype))


def test_d4_the_default_dtype_of_torch_has_no_say() -> None:
    pipe = tiny_pipeline()
    exact = pipe.prepare_latents(1, 9, 32, 32, seeded(3))
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        noise = pipe.prepare_latents(1, 9, 32, 32, seeded(3))
    finally:
        torch.set_default_dtype(before)
    assert noise.dtype == torch.float32 and torch.equal(noise, exact)


def test_d4_on_another_device_the_cpu_draws_the_same_numbers() -> None:
    """The meta device holds no values; that the generators went on alike shows who drew."""
    here, there = seeded(3, 4), seeded(3, 4)
    tiny_pipeline().prepare_latents(2, 9, 32, 32, here)
    noise = tiny_pipeline().to("meta").prepare_latents(2, 9, 32, 32, there)
    assert noise.device.type == "meta" and noise.dtype == torch.float32
    for one, other in zip(here, there, strict=True):
        assert torch.equal(one.get_state(), other.get_state())
        assert not torch.equal(one.get_state(), seeded(3)[0].get_state())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_d4_a_gpu_starts_from_the_same_noise_and_repeats_itself() -> None:
    exact = started_from(tiny_pipeline())
    pipe = tiny_pipeline().to("cuda")
    start = started_from(pipe)
    for name in HALVES:
        assert start.get(name).is_cuda and torch.equal(start.get(name).cpu(), exact.get(name))
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        first, second = (
            pipe("red", generator=seeded(3), output_type="latent").frames for _ in range(2)
        )
    finally:
        torch.use_deterministic_algorithms(False)
    assert torch.equal(first, second)
