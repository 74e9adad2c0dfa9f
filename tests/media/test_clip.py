"""A clip in Python: in words, as pictures; `import mmdiff` stays fast."""

import io
import subprocess
import sys

import pytest
from PIL import Image

from mmdiff.media.clip import Clip
from mmdiff.media.resample import change_fps


def test_importing_the_clip_does_not_load_the_codecs():
    code = (
        "import sys, mmdiff.media.clip as c; "
        "print([m for m in ('av', 'imageio', 'torchaudio', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_clip_is_short_in_words_and_gives_its_frames(small_clip):
    clip = small_clip(33)
    assert repr(clip) == f"Clip({clip})"
    assert str(clip).startswith("33 frames of 64 x 64 at 16/s, ")
    assert clip.frame(-1).tobytes() == clip.frames[32].numpy().tobytes()
    with pytest.raises(IndexError, match=r"frame 33 .*possible is 0 to 32"):
        clip.frame(33)
    with pytest.raises(IndexError, match="none: no frames"):
        Clip(waveform=clip.waveform, sample_rate=16_000).frame(0)
    file = io.BytesIO()
    clip.storyboard("a caption").save(file, format="PNG")
    assert Image.open(file).width > 1000


def test_a_clip_that_is_read_or_changed_stays_a_clip(small_clip, tmp_path):
    small_clip(2).save(tmp_path / "clip.mp4")
    clip = Clip.load(tmp_path / "clip.mp4")
    assert type(clip) is type(change_fps(clip, 8)) is type(Clip.of_image(clip.frame(0))) is Clip
