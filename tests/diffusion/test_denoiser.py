import pytest
import torch

from mmdiff.diffusion.denoiser import Denoiser
from mmdiff.diffusion.noise_schedule import Cosine, Flow, NoiseSchedule
from mmdiff.diffusion.parameterization import Parameterization
from mmdiff.values.context import Context
from mmdiff.values.latents import ClipLatents
from tests.diffusion.gaussian import CONTEXT, DEVIATIONS, MEANS, GaussianBackbone


@pytest.mark.parametrize("schedule", [Flow(), Cosine()], ids=repr)
@pytest.mark.parametrize("kind", ["noise", "clean", "v", "velocity"])
def test_pure_noise_says_the_mean(schedule: NoiseSchedule, kind: Parameterization) -> None:
    denoiser = Denoiser(GaussianBackbone(schedule, kind), schedule, kind)  # type: ignore[arg-type]
    noise = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    clean = denoiser(ClipLatents(audio=noise), ClipLatents(audio=torch.ones(4, 1, 1, 1)), CONTEXT)
    assert clean.audio is not None
    tolerance = 0.01 * 4 * DEVIATIONS["audio"] ** 2 if kind == "noise" else 1e-4
    assert float((clean.audio - MEANS["audio"]).abs().max()) < tolerance


def test_the_backbone_gets_its_dtype_and_times_stay_fp32() -> None:
    class Backbone(torch.nn.Module):
        dtype = torch.bfloat16

        def forward(
            self, latents: ClipLatents, time: ClipLatents, context: Context, *, ablation: object
        ) -> ClipLatents:
            assert latents.video is not None
            assert time.video is not None
            assert latents.video.dtype == context.tokens.dtype == torch.bfloat16
            assert time.video.dtype == torch.float32
            assert ablation == "cut"
            return latents

    latents = ClipLatents(torch.ones(4, 1, 1, 2, 2))
    time = ClipLatents(torch.full((4, 1, 1, 1, 1), 0.5))
    clean = Denoiser(Backbone(), Flow(), "velocity")(latents, time, CONTEXT, ablation="cut")
    assert clean.video is not None
    assert clean.video.dtype == torch.float32
    assert torch.equal(clean.video, torch.full_like(clean.video, 0.5))
