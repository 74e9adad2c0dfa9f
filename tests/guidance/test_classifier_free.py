import pytest
import torch
from diffusers.guiders import ClassifierFreeGuidance

from mmdiff.diffusion.noise_schedule import Cosine
from mmdiff.diffusion.parameterization import to_clean
from mmdiff.guidance.classifier_free import ClassifierFree
from mmdiff.guidance.moment import Moment

STRONG, WEAK, NOISY = torch.randn(3, 2, 4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
ONES = torch.ones(2, 1, 1, 1, 1)
NOW = Moment(call=0, on_line=NOISY, time=0.5 * ONES)


@pytest.mark.parametrize("rescale", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("scale", [1.5, 4.0, 9.0])
def test_it_is_the_guider_of_diffusers(scale: float, rescale: float) -> None:
    theirs = ClassifierFreeGuidance(guidance_scale=scale, guidance_rescale=rescale)
    expected = theirs.forward(STRONG, WEAK).pred
    ours = ClassifierFree(scale, guidance_rescale=rescale)
    term = ours.term(STRONG, WEAK, weight=ours.weight("video", ONES), moment=NOW)
    assert torch.allclose(STRONG + term.value, expected, rtol=0, atol=1e-5)


def test_guiding_the_clean_estimate_is_guiding_the_prediction() -> None:
    def clean(prediction: torch.Tensor) -> torch.Tensor:
        time = torch.full((2, 1, 1, 1, 1), 0.6)
        return to_clean(
            prediction, NOISY, time=time, schedule=Cosine(), parameterization="velocity"
        )

    guided_prediction = WEAK + 4.0 * (STRONG - WEAK)
    term = ClassifierFree().term(clean(STRONG), clean(WEAK), weight=3 * ONES, moment=NOW)
    assert torch.allclose(clean(STRONG) + term.value, clean(guided_prediction), atol=1e-5)


@pytest.mark.parametrize("rescale", [0.0, 0.7])
def test_rows_without_weight_are_untouched(rescale: float) -> None:
    weight = torch.tensor([3.0, 0.0]).reshape(2, 1, 1, 1, 1)
    guider = ClassifierFree(guidance_rescale=rescale)
    value = guider.term(STRONG, WEAK, weight=weight, moment=NOW).value
    assert value[0].any()
    assert not value[1].any()


def test_scales_per_half_and_interval() -> None:
    guider = ClassifierFree(4.0, audio_guidance_scale=2.0, interval=(0.2, 0.8))
    levels = torch.tensor([0.1, 0.2, 0.5, 0.8, 0.9])
    assert guider.weight("video", levels).tolist() == [0, 3, 3, 3, 0]
    assert guider.weight("audio", levels).tolist() == [0, 1, 1, 1, 0]
    assert ClassifierFree(4.0).weight("audio", levels).tolist() == [3] * 5
    assert ClassifierFree(4.0).weight("video", torch.zeros(1)).tolist() == [0]


def test_wrong_settings_teach() -> None:
    with pytest.raises(ValueError, match=r"guidance_rescale is 2.*0 to 1"):
        ClassifierFree(guidance_rescale=2.0)
    with pytest.raises(ValueError, match=r"interval is \(0.8, 0.2\).*first <= last"):
        ClassifierFree(interval=(0.8, 0.2))
