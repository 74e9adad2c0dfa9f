"""Images that are read: spans of animations."""

import pytest
import torch

from mmdiff.media.clip import Clip
from mmdiff.media.reader import decode_clip
from mmdiff.media.rejection import Reason, Rejection


@pytest.fixture
def moving(small_clip, tmp_path):
    """A GIF of 20 frames, two seconds long."""
    small_clip(20, fps=10, sample_rate=None).save(tmp_path / "moving.gif")
    return tmp_path / "moving.gif"


def test_a_span_of_an_animation_is_the_part_of_the_whole(moving):
    whole = Clip.load(moving)
    assert (whole.num_frames, whole.fps) == (20, 10)
    for span, first, last in (((0.5, 1.2), 5, 12), ((1.5, None), 15, 20), ((0, 2), 0, 20)):
        part = decode_clip(moving, start_seconds=span[0], end_seconds=span[1])
        assert torch.equal(part.frames, whole.frames[first:last])
    assert decode_clip(moving, at_most_seconds=9).num_frames == 20
    assert decode_clip(moving, at_most_seconds=0.3).num_frames == 3


@pytest.mark.parametrize("span", [(2, None), (1, 3), (3, 4)])
def test_a_span_outside_of_an_animation_is_refused(moving, span):
    outcome = decode_clip(moving, start_seconds=span[0], end_seconds=span[1])
    assert isinstance(outcome, Rejection)
    assert outcome.reason is Reason.BAD_SPAN


def test_a_still_image_has_no_span(small_clip, tmp_path):
    small_clip(1, sample_rate=None).save(tmp_path / "still.png")
    assert decode_clip(tmp_path / "still.png", at_most_seconds=2).num_frames == 1
    outcome = decode_clip(tmp_path / "still.png", start_seconds=0, end_seconds=1)
    assert isinstance(outcome, Rejection)
    assert outcome.reason is Reason.BAD_SPAN
