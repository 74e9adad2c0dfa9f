"""A clip in a notebook, and what Python shows of it."""

import base64
import re

import pytest
import torch
from PIL import Image

from mmdiff.media import notebook
from mmdiff.media.clip import Clip


def _embedded(clip, tmp_path):
    """Element, type and file of what the HTML holds."""
    element, kind, data = re.match(
        r'<(\w+) .*src="data:([\w/]+);base64,([^"]+)">', clip._repr_html_()
    ).groups()
    path = tmp_path / f"shown.{kind.split('/')[1]}"
    path.write_bytes(base64.b64decode(data))
    return element, kind, path


def test_a_clip_plays_in_a_notebook_with_its_sound(small_clip, tmp_path):
    clip = small_clip()
    element, kind, path = _embedded(clip, tmp_path)
    again = Clip.load(path)
    assert (element, kind) == ("video", "video/mp4")
    assert (again.shape, again.sample_rate) == (clip.shape, clip.sample_rate)
    assert "controls" in clip._repr_html_()


def test_sound_alone_and_a_still_show_themselves(small_clip, tmp_path):
    sound = Clip(waveform=small_clip().waveform, sample_rate=16_000)
    element, kind, path = _embedded(sound, tmp_path)
    assert (element, kind) == ("audio", "audio/wav")
    assert Clip.load(path).num_samples == sound.num_samples
    still = small_clip(1, sample_rate=None)
    element, kind, path = _embedded(still, tmp_path)
    assert (element, kind) == ("img", "image/png")
    assert torch.equal(Clip.load(path).frames, still.frames)


@pytest.mark.parametrize(
    ("changes", "limit", "why"),
    [
        ({"height": 63}, None, "even sides"),
        ({}, ("MOST_BYTES", 100), "too large to play here"),
        ({}, ("MOST_PIXELS", 100), "too long to play here"),
    ],
)
def test_what_a_page_cannot_hold_is_drawn_and_said(
    small_clip, tmp_path, monkeypatch, changes, limit, why
):
    if limit is not None:
        monkeypatch.setattr(notebook, *limit)
    clip = small_clip(**changes)
    element, kind, path = _embedded(clip, tmp_path)
    assert (element, kind) == ("img", "image/png")
    assert Image.open(path).size == clip.storyboard().size
    assert why in clip._repr_html_()
