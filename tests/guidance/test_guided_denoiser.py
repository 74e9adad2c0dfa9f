from dataclasses import dataclass, field

import pytest
import torch

from mmdiff.backbone.ablation import Ablation
from mmdiff.guidance.guided_denoiser import GuidedDenoiser
from mmdiff.guidance.text_guiders import ClassifierFree, Projected
from mmdiff.values.context import Context
from mmdiff.values.latents import ClipLatents

GENERATOR = torch.Generator().manual_seed(0)
LATENTS = ClipLatents(
    torch.randn(2, 4, 3, 5, 5, generator=GENERATOR), torch.randn(2, 4, 6, 2, generator=GENERATOR)
)


def context(length: int) -> Context:
    return Context(
        torch.randn(2, length, 3, generator=GENERATOR), torch.ones(2, length, dtype=torch.bool)
    )


POSITIVE, NEGATIVE = context(5), context(2)


@dataclass
class Denoiser:
    """Latents plus the sum of the text, which padding does not change; counts its calls."""

    rows: list[int] = field(default_factory=list)

    def __call__(
        self,
        latents: ClipLatents,
        time: ClipLatents,
        text: Context,
        *,
        ablation: Ablation | None = None,
    ) -> ClipLatents:
        self.rows.append(latents.batch_size)
        assert time.batch_size == text.batch_size == latents.batch_size
        said = (text.tokens * text.mask[..., None]).sum((1, 2))
        return latents.map(lambda half: half + said.reshape(-1, *[1] * (half.ndim - 1)))


def time(video: float, audio: float) -> ClipLatents:
    return ClipLatents(torch.full((2, 1, 1, 1, 1), video), torch.full((2, 1, 1, 1), audio))


def assert_same(got: ClipLatents, expected: ClipLatents, *, half: str, atol: float = 0.0) -> None:
    assert torch.allclose(getattr(got, half), getattr(expected, half), rtol=0, atol=atol)


NOW = time(0.5, 0.5)
CONDITIONAL = Denoiser()(LATENTS, NOW, POSITIVE)
WEAKER = Denoiser()(LATENTS, NOW, NEGATIVE)


@pytest.mark.parametrize("guiders", [(), (ClassifierFree(1.0),), (Projected(1.0),)])
def test_scale_1_is_the_conditional_at_no_extra_cost(guiders: tuple[ClassifierFree, ...]) -> None:
    denoiser = Denoiser()
    guided = GuidedDenoiser(denoiser, POSITIVE, negative_context=NEGATIVE, guiders=guiders)
    result = guided(LATENTS, NOW)
    assert denoiser.rows == [2]
    for half in ("video", "audio"):
        assert_same(result, CONDITIONAL, half=half)


def test_one_call_and_a_scale_per_half() -> None:
    denoiser = Denoiser()
    guider = ClassifierFree(4.0, audio_guidance_scale=2.0)
    guided = GuidedDenoiser(denoiser, POSITIVE, negative_context=NEGATIVE, guiders=[guider])
    result = guided(LATENTS, NOW)
    assert denoiser.rows == [4]
    for half, scale in (("video", 4.0), ("audio", 2.0)):
        expected = WEAKER.zip(CONDITIONAL, lambda weak, strong, s=scale: weak + s * (strong - weak))
        assert_same(result, expected, half=half, atol=1e-5)


def test_outside_of_the_interval_it_is_the_conditional_at_no_extra_cost() -> None:
    denoiser = Denoiser()
    guider = ClassifierFree(interval=(0.2, 0.8))
    guided = GuidedDenoiser(denoiser, POSITIVE, negative_context=NEGATIVE, guiders=[guider])
    for level in (0.1, 0.9):
        result = guided(LATENTS, time(level, level))
        assert_same(result, CONDITIONAL, half="video")
        assert_same(result, CONDITIONAL, half="audio")
    assert denoiser.rows == [2, 2]


@pytest.mark.parametrize("level", [0.9, 0.0])  # outside of the interval; given
def test_each_half_is_guided_by_its_own_level(level: float) -> None:
    guider = ClassifierFree(interval=(0.0, 0.8))
    guided = GuidedDenoiser(Denoiser(), POSITIVE, negative_context=NEGATIVE, guiders=[guider])
    result = guided(LATENTS, time(0.5, level))
    assert_same(result, CONDITIONAL, half="audio")
    assert not torch.equal(result.video, CONDITIONAL.video)  # type: ignore[arg-type]


def test_text_guiders_add_up_and_share_a_pass() -> None:
    denoiser = Denoiser()
    guiders = [ClassifierFree(2.0), ClassifierFree(3.0)]
    guided = GuidedDenoiser(denoiser, POSITIVE, negative_context=NEGATIVE, guiders=guiders)
    result = guided(LATENTS, NOW)
    assert denoiser.rows == [4]
    alone = GuidedDenoiser(
        Denoiser(), POSITIVE, negative_context=NEGATIVE, guiders=[ClassifierFree(4.0)]
    )
    assert_same(result, alone(LATENTS, NOW), half="video", atol=1e-5)


def test_momentum_is_of_one_run_and_of_each_half() -> None:
    guider = Projected(momentum=-0.5, norm_threshold=0.0)

    def fresh() -> GuidedDenoiser:
        return GuidedDenoiser(Denoiser(), POSITIVE, negative_context=NEGATIVE, guiders=[guider])

    guided = fresh()
    first, second = guided(LATENTS, NOW), guided(LATENTS, NOW)
    assert not torch.equal(first.audio, second.audio)  # type: ignore[arg-type]
    assert_same(fresh()(LATENTS, NOW), first, half="audio")


def test_absent_half_stays_absent() -> None:
    guided = GuidedDenoiser(
        Denoiser(), POSITIVE, negative_context=NEGATIVE, guiders=[ClassifierFree()]
    )
    result = guided(ClipLatents(audio=LATENTS.audio), ClipLatents(audio=NOW.audio))
    assert result.modalities == ("audio",)


def test_a_missing_negative_context_teaches() -> None:
    with pytest.raises(ValueError, match=r"encode the negative prompt or the empty one"):
        GuidedDenoiser(Denoiser(), POSITIVE, guiders=[ClassifierFree()])(LATENTS, NOW)
