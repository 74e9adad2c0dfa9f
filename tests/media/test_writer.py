import os
import resource
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmdiff.media.clip import Clip
from mmdiff.media.suffixes import OUTPUT_SUFFIXES
from mmdiff.media.writer import encode_video

NOBODY = 65534


@pytest.mark.parametrize("suffix", [".png", ".gif"])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 13), (9, 2047)])
def test_o4_pictures_take_any_size(tmp_path, suffix, height, width):
    for num_frames in (1, 3):  # of one color: Pillow joins equal frames of a gif
        frames = torch.full((num_frames, height, width, 3), 90, dtype=torch.uint8)
        Clip(frames, 16).save(tmp_path / f"clip{suffix}")
        with Image.open(tmp_path / f"clip{suffix}") as image:
            assert image.size == (width if suffix == ".gif" else num_frames * width, height)


@pytest.mark.parametrize("suffix", OUTPUT_SUFFIXES)
def test_d1_equal_clips_give_equal_bytes(small_clip, tmp_path, suffix):
    for name in ("one", "two"):
        small_clip().save(tmp_path / f"{name}{suffix}")
    assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"two{suffix}").read_bytes()


def test_o5_a_wav_is_exact_to_sixteen_bits(small_clip, tmp_path):
    clip = small_clip(channels=2)
    clip.save(tmp_path / "sound.wav")
    again = Clip.load(tmp_path / "sound.wav")
    assert (again.frames, again.sample_rate) == (None, clip.sample_rate)
    torch.testing.assert_close(again.waveform, clip.waveform, atol=0.5 / 32768 + 1e-6, rtol=0)
    again.save(tmp_path / "again.wav")
    assert (tmp_path / "again.wav").read_bytes() == (tmp_path / "sound.wav").read_bytes()


def test_a_png_is_the_strip_of_all_frames(small_clip, tmp_path):
    clip = small_clip(3)
    clip.save(tmp_path / "strip.png")
    strip = Clip.load(tmp_path / "strip.png").frames
    assert strip.shape == (1, 64, 192, 3)
    assert torch.equal(strip[0, :, 64:128], clip.frames[1])


def test_a_jpg_is_nearly_the_strip_of_all_frames(small_clip, psnr, tmp_path):
    clip = small_clip(3)
    clip.save(tmp_path / "strip.jpg")
    strip = Clip.load(tmp_path / "strip.jpg").frames
    assert strip.shape == (1, 64, 192, 3)
    assert psnr(strip[0, :, 64:128], clip.frames[1]) >= 30


def test_a_gif_has_the_length_of_the_clip(small_clip, tmp_path):
    small_clip(33).save(tmp_path / "clip.gif")
    with Image.open(tmp_path / "clip.gif") as image:
        seconds = 0
        for index in range(image.n_frames):
            image.seek(index)
            seconds += image.info["duration"] / 1000
    assert seconds == pytest.approx(33 / 16, abs=0.01)


@pytest.mark.parametrize(
    ("changes", "name", "text"),
    [
        ({"height": 63}, "c.mp4", "63 x 64.*even sides.*64 x 64"),
        ({"height": 1, "width": 7}, "c.mp4", "1 x 7.*2 x 8"),
        ({"sample_rate": 22_000}, "c.mp4", "sample_rate is 22000.*: 22050"),
        ({"channels": 3}, "c.mp4", "3 channels"),
        ({"fps": Fraction(16_000_001, 1_000_000)}, "c.mp4", "nearest that an mp4 takes is 16"),
        ({"sample_rate": 22_050}, "c.webm", "sample_rate is 22050.*: 24000"),
        ({"width": 40_000, "height": 2}, "c.jpg", "2 x 80000.*save it as .png"),
        ({"fps": Fraction(60)}, "c.gif", "fps is 60.*50"),
        ({"sample_rate": None}, "c.wav", "needs a waveform"),
        ({}, "c.avi", "suffix '.avi'.*c.mp4"),
        ({}, "clip", "no suffix.*clip.mp4"),
    ],
)
def test_o4_what_a_format_cannot_hold_is_refused(small_clip, tmp_path, changes, name, text):
    with pytest.raises(ValueError, match=text):
        small_clip(2, **changes).save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".gif", ".png", ".jpg"])
def test_pictures_cannot_be_made_of_sound(tmp_path, suffix):
    with pytest.raises(ValueError, match=r"needs frames"):
        Clip(waveform=torch.zeros(1, 9), sample_rate=8000).save(tmp_path / f"c{suffix}")


def test_o2_a_path_that_cannot_be_written_is_named(small_clip, tmp_path):
    clip = small_clip(2)
    with pytest.raises(FileNotFoundError, match=r"no folder .*missing"):
        clip.save(tmp_path / "missing" / "clip.mp4")
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(IsADirectoryError, match=r"folder.mp4 is a folder"):
        clip.save(tmp_path / "folder.mp4")
    (tmp_path / "old.mp4").write_bytes(b"old")
    with pytest.raises(FileExistsError, match=r"overwrite=True"):
        clip.save(tmp_path / "old.mp4", overwrite=False)
    assert (tmp_path / "old.mp4").read_bytes() == b"old"
    (tmp_path / "device.mp4").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"not a regular file"):
        clip.save(tmp_path / "device.mp4")


@pytest.mark.parametrize("suffix", OUTPUT_SUFFIXES)
def test_o2_a_full_disk_leaves_no_file(small_clip, tmp_path, suffix):
    clip = small_clip()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (512, hard))
    try:
        with pytest.raises(OSError, match=f"cannot write .*clip{suffix}.*no file was left"):
            clip.save(tmp_path / f"clip{suffix}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def _said_by_nobody(action):
    """What `action` raises in a forked process of the user nobody: root may write everywhere."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            action()
            said = "it was written"
        except BaseException as error:  # noqa: BLE001 (the child ends here, whatever it was)
            said = f"{type(error).__name__}: {error}"
        os.write(write, said.encode()[:4000])
        os._exit(0)
    os.close(write)
    with open(read, encoding="utf-8") as stream:
        said = stream.read()
    os.waitpid(child, 0)
    return said


@pytest.mark.parametrize("suffix", [".mp4", ".wav", ".png", ".gif"])
def test_o2_a_read_only_folder_is_named(small_clip, suffix):
    clip = small_clip(2)
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to nobody
        folder = Path(name)
        folder.chmod(0o555)
        said = _said_by_nobody(lambda: clip.save(folder / f"clip{suffix}"))
        assert said.startswith("PermissionError: cannot write"), said
        assert f"the folder {folder} is not writable" in said
        assert not list(folder.iterdir())


def test_o2_a_file_of_another_user_in_a_folder_of_ones_own_is_replaced(small_clip):
    # a rename asks for the right to write the folder, not the file
    clip = small_clip(2)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        (folder / "clip.png").write_bytes(b"old")
        (folder / "clip.png").chmod(0o444)
        assert _said_by_nobody(lambda: clip.save(folder / "clip.png")) == "it was written"
        assert (folder / "clip.png").read_bytes()[:4] == b"\x89PNG"


def test_encode_video_takes_every_form_of_frames_to_the_same_bytes(small_clip, tmp_path):
    clip = small_clip(6)
    images = [Image.fromarray(frame.numpy()) for frame in clip.frames]
    forms = {
        "tensor": clip.frames,
        "floats": (clip.frames.float() / 255).numpy(),
        "images": images,
        "chunks": iter(clip.frames.split(4)),
        "arrays": np.asarray(clip.frames),
    }
    clip.save(tmp_path / "clip.mp4")
    for name, form in forms.items():
        path = str(tmp_path / f"{name}.mp4")
        encode_video(form, 16, path, audio=clip.waveform, audio_sample_rate=clip.sample_rate)
        assert (tmp_path / f"{name}.mp4").read_bytes() == (tmp_path / "clip.mp4").read_bytes()


def test_encode_video_refuses_what_diffusers_lets_through(small_clip, tmp_path):
    clip = small_clip(2)
    broken = clip.waveform.clone()
    broken[0, 5] = float("nan")
    path = tmp_path / "clip.mp4"
    with pytest.raises(ValueError, match=r"NaN"):
        encode_video(clip.frames, 16, path, audio=broken, audio_sample_rate=16_000)
    with pytest.raises(ValueError, match=r"audio_sample_rate"):
        encode_video(clip.frames, 16, path, audio=clip.waveform)
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        encode_video(clip.frames.float(), 16, path)
    with pytest.raises(ValueError, match=r"no frames"):
        encode_video([], 16, path)
    assert not path.exists()
