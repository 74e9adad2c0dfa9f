from dataclasses import replace

from mmdiff.bounce.studies.inpainting import BoxInpainting
from tests.bounce.studies.stages import answered_stage, perfect, results


def test_a_single_pixel_outside_the_box_is_found(tmp_path):
    study = BoxInpainting()

    def touched(truth, asked):
        frames = truth.frames.clone()
        outside = (~study.mask(truth)).nonzero()[0]
        frames[3, outside[0], outside[1], 0] ^= 1
        return replace(truth.clip, frames=frames)

    (result,) = results(study, touched, tmp_path)
    assert result.value("outside as it was, to the bit") == 0
    assert result.value("consistent") == 100


def test_the_box_hides_the_object_at_mid_clip(tmp_path):
    study = BoxInpainting()
    for truth in answered_stage(perfect, tmp_path).truths():
        mask = study.mask(truth)
        middle = truth.frames[16].float()
        is_object = (middle - middle[~mask].median(0).values).abs().amax(-1) > 20
        assert bool((is_object <= mask).all())
        assert mask.sum() == 32 * 32
