import math

import pytest
import torch

from mmdiff.guidance.classifier_free import ClassifierFree
from mmdiff.guidance.frame_consistency import FrameConsistency
from mmdiff.guidance.modality import ModalityGuidance
from mmdiff.guidance.skip_layer import SkipLayer
from mmdiff.guidance.strength import over_time

ALWAYS = (0.0, 1.0)


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_every_schedule_is_1_on_average_and_never_shrinks_towards_clean(schedule: str) -> None:
    times = (torch.arange(1000) + 0.5) / 1000
    factors = over_time(times, interval=ALWAYS, schedule=schedule)  # type: ignore[arg-type]
    assert factors.mean() == pytest.approx(1.0, abs=1e-5)
    assert (factors.diff() <= 1e-6).all() and (factors >= 0).all()


def test_formulas_and_interval() -> None:
    times = torch.tensor([0.0, 0.25, 0.5, 1.0])
    linear = over_time(times, interval=ALWAYS, schedule="linear")
    assert linear.tolist() == [0.0, 1.5, 1.0, 0.0]
    cosine = over_time(times, interval=(0.2, 0.5), schedule="cosine")
    assert cosine.tolist() == pytest.approx([0.0, 1 + math.cos(math.pi / 4), 1.0, 0.0])


def test_a_schedule_multiplies_what_is_added() -> None:
    levels = torch.tensor([0.25])
    assert ClassifierFree(5.0, schedule="linear").weight("video", levels).tolist() == [6.0]
    assert ModalityGuidance(2.0, schedule="linear").weight("audio", levels).tolist() == [3.0]


def test_sound_follows_the_picture_unless_frames_are_joined() -> None:
    assert ModalityGuidance(2.0).strength("audio") == 2.0
    assert ModalityGuidance(2.0, 0.5).strength("audio") == 0.5
    assert FrameConsistency(2.0).strength("audio") == 0.0
    assert FrameConsistency(2.0, None).strength("audio") == 2.0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0, "much", True, None])
def test_a_scale_that_is_no_number_teaches(value: object) -> None:
    with pytest.raises(ValueError, match=r"^scale is .*a number from 0 to 100: "):
        ModalityGuidance(scale=value)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^guidance_scale is .*a number from 0 to 100: "):
        ClassifierFree(value)  # type: ignore[arg-type]
    if value is not None:
        with pytest.raises(ValueError, match=r"audio_scale is "):
            FrameConsistency(audio_scale=value)  # type: ignore[arg-type]


@pytest.mark.parametrize("interval", [(0.8, 0.2), (0.0, 2.0), (0.5,), "all", (math.nan, 1.0)])
def test_an_interval_that_is_none_teaches(interval: object) -> None:
    with pytest.raises(ValueError, match=r"interval is .*0 <= first <= last <= 1"):
        FrameConsistency(interval=interval)  # type: ignore[arg-type]


def test_other_wrong_settings_teach() -> None:
    with pytest.raises(ValueError, match=r"schedule is 'sine'; there are 'constant', 'linear'"):
        FrameConsistency(schedule="sine")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"form is 'both'; it must be one of 'latent'"):
        FrameConsistency(form="both")  # type: ignore[arg-type]
    for blocks in ((), (-1,), (1, 1), ("2",)):
        with pytest.raises(ValueError, match=r"blocks is .*for example \(2,\)"):
            SkipLayer(blocks=blocks)  # type: ignore[arg-type]
