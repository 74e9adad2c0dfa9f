import time

import numpy as np
import pytest
import torch
from PIL import Image

from mmdiff.media.clip import Clip
from mmdiff.media.storyboard import (
    LEFT,
    LONGEST_CAPTION,
    PLOT_WIDTH,
    TOP,
    caption_lines,
    save_storyboard,
    storyboard,
)


@pytest.mark.parametrize("num_frames", [0, 1, 2, 17])
@pytest.mark.parametrize("sample_rate", [None, 16_000, 44_100])
def test_any_clip_can_be_drawn(small_clip, num_frames, sample_rate):
    if not num_frames and not sample_rate:
        return
    clip = small_clip(max(num_frames, 1), sample_rate=sample_rate)
    if not num_frames:
        clip = Clip(waveform=clip.waveform, sample_rate=clip.sample_rate)
    sheet = storyboard(clip, caption="a caption " * 100)
    assert sheet.dtype == torch.uint8
    assert sheet.ndim == 3
    assert 100 < sheet.shape[0] < 900
    assert sheet.float().std() > 1


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 200), (300, 4), (256, 256)])
def test_any_shape_and_silence_can_be_drawn(height, width):
    frames = torch.zeros(3, height, width, 3, dtype=torch.uint8)
    storyboard(Clip(frames, 16, torch.zeros(2, 5), 8000))
    storyboard(Clip(frames, 16, torch.zeros(2, 50_000), 8000))


def test_each_picture_stands_at_its_moment():
    frames = (10 * torch.arange(16, dtype=torch.uint8))[:, None, None, None].expand(16, 32, 32, 3)
    sheet = storyboard(Clip(frames.contiguous(), 16))
    for tile in range(8):
        middle = LEFT + PLOT_WIDTH * (2 * tile + 1) // 16
        assert int(sheet[TOP + 40, middle, 0]) == 10 * (2 * tile + 1)


CAPTIONS = [
    *("a" * 10**7, "a b " * 2_500_000, " " * 10**7, "\n" * 10**7, "\U0001f534" * 10**6),
    *("\0\U0001f600\u0645\u0631\n\n\x1b[1m", "\ud800", "a-" * 10**6),
]


@pytest.mark.parametrize("caption", CAPTIONS, ids=lambda text: f"{text[:4]!a} {len(text)}")
def test_i2_any_caption_is_bounded(small_clip, tmp_path, caption):
    clip = small_clip(2)
    began = time.process_time()
    save_storyboard(clip, tmp_path / "clip.png", caption=caption)
    assert time.process_time() - began < 2
    with Image.open(tmp_path / "clip.png") as image:
        assert image.height < 1000


def test_i2_a_caption_that_is_cut_says_so():
    assert caption_lines("a b " * 10**6)[-1].endswith(" ...")
    assert caption_lines("a" + " " * LONGEST_CAPTION + "b") == ["a ..."]
    assert caption_lines("a b") == ["a b"] and caption_lines("") == []


def test_it_is_saved_as_a_png(small_clip, tmp_path):
    clip = small_clip(9)
    save_storyboard(clip, tmp_path / "clip.png", caption="a red disc")
    with Image.open(tmp_path / "clip.png") as image:
        assert np.array_equal(np.array(image), storyboard(clip, caption="a red disc").numpy())
    with pytest.raises(ValueError, match=r"it is a PNG: clip\.png"):
        save_storyboard(clip, tmp_path / "clip.mp4")
