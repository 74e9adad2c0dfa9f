from dataclasses import replace

import torch

from mmdiff.bounce.draw import draw
from mmdiff.bounce.studies.clip_to_clip import Extension, VideoToVideo, recolored
from mmdiff.values.shapes import ClipShape
from tests.bounce.studies.stages import perfect, results


def test_a_clip_that_stops_at_the_seam_is_found(tmp_path):
    def jumping(truth, asked):
        made = perfect(truth, asked)
        frames = made.frames.clone()
        frames[33:] = torch.roll(frames[33:], 12, dims=2)
        return replace(made, frames=frames)

    (result,) = results(Extension(directions=("forward",)), jumping, tmp_path)
    assert not result.is_met
    assert result.value("jump at the seam over the median step, median") > 3
    assert result.value("jump at the seam over the median step <= 1.5, true clips") > 80


def test_video_to_video_tells_the_old_color_from_the_new(tmp_path):
    def by_strength(truth, asked):
        is_strong = asked.conditions[0].strength > 0.5
        return draw(recolored(truth.event) if is_strong else truth.event, ClipShape())

    (result,) = results(VideoToVideo(strengths=(0.2, 0.8)), by_strength, tmp_path)
    assert result.value("strength 0.2: color kept") == 100
    assert result.value("strength 0.2: color as asked") == 0
    assert result.value("strength 0.8: color as asked") == 100
    assert result.value("strength 0.8: shape kept") == 100
    assert (tmp_path / "partial_noise.png").is_file()
