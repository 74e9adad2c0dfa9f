import math

import pytest
import torch

from mmdiff.diffusion.noise_schedule import Cosine, Flow, Linear
from mmdiff.guidance.backbone_guiders import ModalityGuidance
from mmdiff.guidance.guider import StepContext, over_time
from mmdiff.guidance.text_guiders import ClassifierFree

ALWAYS = (0.0, 1.0)


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_every_schedule_is_1_on_average_and_never_shrinks_towards_clean(schedule: str) -> None:
    times = (torch.arange(1000) + 0.5) / 1000
    factors = over_time(times, ALWAYS, schedule)  # type: ignore[arg-type]
    assert factors.mean() == pytest.approx(1.0, abs=1e-5)
    assert (factors.diff() <= 1e-6).all() and (factors >= 0).all()


def test_formulas_and_interval() -> None:
    times = torch.tensor([0.0, 0.25, 0.5, 1.0])
    linear = over_time(times, ALWAYS, "linear")
    assert linear.tolist() == [0.0, 1.5, 1.0, 0.0]
    cosine = over_time(times, (0.2, 0.5), "cosine")
    assert cosine.tolist() == pytest.approx([0.0, 1 + math.cos(math.pi / 4), 1.0, 0.0])


def test_a_schedule_multiplies_what_is_added() -> None:
    levels = torch.tensor([0.25])
    assert ClassifierFree(5.0, schedule="linear").weight("video", levels).tolist() == [6.0]
    assert ModalityGuidance(2.0, schedule="linear").weight("audio", levels).tolist() == [3.0]


def test_audio_takes_the_scale_of_the_video_where_it_has_none() -> None:
    assert ModalityGuidance(2.0).scale_of("audio") == 2.0
    assert ModalityGuidance(2.0, 0.5).scale_of("audio") == 0.5


def test_the_line_is_that_of_the_flow() -> None:
    clean, noise = torch.randn(2, 2, 4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    time = torch.full((2, 1, 1, 1, 1), 0.7)
    for schedule in (Flow(), Cosine(), Linear()):
        noisy = schedule.alpha(time) * clean + schedule.sigma(time) * noise
        latents, level = StepContext(noisy, time, noise_schedule=schedule).on_line()
        assert torch.allclose(latents, (1 - level) * clean + level * noise, atol=1e-5)


@pytest.mark.parametrize("value", [float("nan"), -1.0, 101, "much", True, None])
def test_a_scale_that_is_no_number_is_refused(value: object) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^scale is .*a number from 0 to 100"):
        ModalityGuidance(scale=value)  # type: ignore[arg-type]
    with pytest.raises((TypeError, ValueError), match=r"^guidance_scale is "):
        ClassifierFree(value)  # type: ignore[arg-type]
    if value is not None:
        with pytest.raises((TypeError, ValueError), match=r"audio_scale is "):
            ModalityGuidance(audio_scale=value)  # type: ignore[arg-type]


@pytest.mark.parametrize("interval", [(0.8, 0.2), (0.0, 2.0), (0.5,), "all", (math.nan, 1.0)])
def test_an_interval_that_is_none_is_refused(interval: object) -> None:
    with pytest.raises(ValueError, match=r"interval is .*0 <= first <= last <= 1"):
        ModalityGuidance(interval=interval)  # type: ignore[arg-type]


def test_a_schedule_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"schedule is 'sine'; there are 'constant', 'linear'"):
        ModalityGuidance(schedule="sine")  # type: ignore[arg-type]
