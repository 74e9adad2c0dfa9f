from mmdiff.bounce.studies.truth import Asked
from mmdiff.bounce.studies.variants import BASELINE, Variant, side_by_side
from mmdiff.guidance.backbone_guiders import ModalityGuidance
from mmdiff.guidance.frame_consistency import FrameConsistency
from tests.bounce.studies.stages import answered_stage


def test_every_variant_sees_every_clip_in_turn(tmp_path):
    variants = {
        "a": Variant(guiders=[FrameConsistency(1.5)]),
        "b": Variant(guiders=[ModalityGuidance(2.0)]),
    }
    stage = answered_stage(lambda truth, asked: truth.clip, tmp_path, num_clips=20)
    truths = stage.truths()
    found = side_by_side(
        stage,
        "x",
        truths,
        lambda truth: Asked(truth.prompt),
        variants,
        lambda made: made.truth,
        num_inference_steps=3,
    )
    assert list(found) == [BASELINE, "a", "b"]
    for measured in found.values():
        assert measured.of_each == truths
    on = []
    for call in stage.calls:
        scales = {type(guider).__name__: guider.scale for guider in call["guidance"]}
        assert set(scales) == {"FrameConsistency", "ModalityGuidance"}
        on.append("".join(name[0] for name, scale in scales.items() if scale > 0))
        assert call["num_inference_steps"] == 3
    assert on[0] == ""  # the call that loads
    assert on[1:7] == ["", "F", "M", "F", "M", ""]  # another is first in the next batch
