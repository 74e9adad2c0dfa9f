import pytest

from mmdiff.guidance.backbone_guiders import ModalityGuidance, SkipLayer
from mmdiff.guidance.frame_consistency import FrameConsistency
from mmdiff.guidance.named_scales import NAMED_SCALES, Guidance, checked_guidance, guiders_of
from mmdiff.guidance.text_guiders import ClassifierFree, Projected

SCALES = {"guidance_scale": 3.0, "frame_consistency_scale": 1.5, "modality_scale": 2.0}
NONE_NAMED = dict.fromkeys(NAMED_SCALES)
OWN: dict[str, Guidance] = {
    "guidance_scale": Projected(),
    "audio_guidance_scale": ClassifierFree(),
    "guidance_rescale": ClassifierFree(),
    "frame_consistency_scale": FrameConsistency(),
    "modality_scale": ModalityGuidance(),
}


def test_scales_stand_for_guiders() -> None:
    expected = [ClassifierFree(3.0), FrameConsistency(1.5).guider(), ModalityGuidance(2.0)]
    assert guiders_of((), **SCALES) == expected
    assert guiders_of((), guidance_scale=1.0) == [ClassifierFree(1.0)]


def test_each_guider_takes_the_place_of_its_scale_and_no_other() -> None:
    own = [SkipLayer(blocks=(1,)), Projected(5.0)]
    rest = [FrameConsistency(1.5).guider(), ModalityGuidance(2.0)]
    assert guiders_of(own, **SCALES) == [*own, *rest]
    own_frames = FrameConsistency(9.0)
    expected = [ClassifierFree(3.0), own_frames.guider(), rest[1]]
    assert guiders_of([own_frames], **SCALES) == expected
    off = [FrameConsistency(0.0), ModalityGuidance(0.0)]
    assert guiders_of(off, **SCALES)[2] == ModalityGuidance(0.0)


def test_one_guider_is_a_list_of_one() -> None:
    guider = FrameConsistency(1.0)
    assert checked_guidance(guider, NONE_NAMED) == (guider,)
    assert checked_guidance([guider], NONE_NAMED) == (guider,)
    assert checked_guidance(None, NONE_NAMED) == checked_guidance([], NONE_NAMED) == ()


@pytest.mark.parametrize("name", NAMED_SCALES)
def test_a_scale_beside_its_guider_is_a_contradiction(name: str) -> None:
    kind = type(OWN[name]).__name__
    named = {**NONE_NAMED, name: 0.0}
    with pytest.raises(ValueError, match=rf"{name}=0.0 and guidance\[1\], {kind}, contradict"):
        checked_guidance([SkipLayer(blocks=(0,)), OWN[name]], named)
    others = [guider for key, guider in OWN.items() if type(guider) is not type(OWN[name])]
    allowed = [one for one in others if name.endswith(("consistency_scale", "modality_scale"))]
    assert checked_guidance(allowed, named) == tuple(allowed)


def test_what_is_no_guider_teaches() -> None:
    with pytest.raises(TypeError, match=r"guidance is a str; it must be a guider"):
        checked_guidance("projected", NONE_NAMED)
    with pytest.raises(TypeError, match=r"guidance\[1\] is a float"):
        checked_guidance([Projected(), 1.5], NONE_NAMED)


def test_two_sets_of_skipped_blocks_teach() -> None:
    two = [SkipLayer(blocks=(0,)), SkipLayer(blocks=(1, 2))]
    with pytest.raises(ValueError, match=r"skips the blocks \[\(0,\), \(1, 2\)\]"):
        checked_guidance(two, NONE_NAMED)
