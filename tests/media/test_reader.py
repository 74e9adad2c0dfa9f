import io
import random
from fractions import Fraction

import av
import numpy as np
import pytest
import torch

from mmdiff.media.clip import Clip
from mmdiff.media.frame_grid import rate_of_grid, shown_at_ticks
from mmdiff.media.reader import decode_clip
from mmdiff.media.rejection import Reason, Rejection


@pytest.fixture(scope="module")
def good(small_clip, tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "good.mp4"
    small_clip(33).save(path)
    return path


def write_foreign(path, *, times, fps=16, sound_start=None, codec="mpeg4", **stream_settings):
    """A file as others write it: frame i is gray 4 * i, shown at times[i] (in frames); one second
    of a constant."""
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=fps)
        video.width = video.height = 32
        video.pix_fmt = "yuv420p"
        video.bit_rate = 2_000_000
        for name, value in stream_settings.items():
            setattr(video, name, value)
        audio = None
        if sound_start is not None:
            audio = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        for index, time in enumerate(times):
            gray = np.full((32, 32, 3), 4 * index + 20, dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(gray, format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, fps)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None:
            frame = av.AudioFrame.from_ndarray(
                np.full((1, 8000), 16384, dtype=np.int16), "s16", "mono"
            )
            frame.sample_rate, frame.pts, frame.time_base = (
                8000,
                round(sound_start * 8000),
                Fraction(1, 8000),
            )
            container.mux(audio.encode(frame))
            container.mux(audio.encode(None))


def _load_or_none(path):
    try:
        return Clip.load(path)
    except ValueError as error:
        if path.name not in str(error):
            raise
        return None


@pytest.mark.parametrize("suffix", [".mkv", ".avi", ".mov"])
def test_files_of_others_are_read(tmp_path, suffix):
    path = tmp_path / f"other clip\n{suffix}"
    write_foreign(path, times=range(16), sound_start=0)
    clip = Clip.load(path)
    assert (clip.shape, clip.fps, clip.sample_rate) == ((16, 32, 32), Fraction(16), 8000)
    grays = clip.frames.float().mean(dim=(1, 2, 3))
    torch.testing.assert_close(grays, 4.0 * torch.arange(16) + 20, atol=3, rtol=0)
    assert clip.num_samples == 8000
    torch.testing.assert_close(clip.waveform.mean(), torch.tensor(0.5), atol=1e-3, rtol=0)


def test_sound_that_starts_later_gets_silence_in_front(tmp_path):
    write_foreign(tmp_path / "late.mkv", times=range(16), sound_start=0.25)
    clip = Clip.load(tmp_path / "late.mkv")
    assert clip.num_samples == 10_000
    assert clip.waveform[0, :2000].abs().max() == 0
    assert clip.waveform[0, 2000:].min() > 0.4


def test_frames_of_uneven_length_come_out_on_an_even_grid(tmp_path):
    times = [0, 1, 2, 3, 8, 9, 10, 11]
    write_foreign(tmp_path / "uneven.mkv", times=times)
    clip = Clip.load(tmp_path / "uneven.mkv")
    assert abs(clip.video_seconds - Fraction(12, 16)) <= 1 / clip.fps
    grays = clip.frames.float().mean(dim=(1, 2, 3))
    for tick, gray in enumerate(grays):
        moment = (tick + 0.25) / clip.fps * 16
        shown = max(index for index, time in enumerate(times) if time <= moment)
        assert abs(float(gray) - (4 * shown + 20)) < 4


@pytest.mark.parametrize("rate", [Fraction(30_000, 1001), Fraction(16), Fraction(240)])
def test_an_even_grid_is_the_identity_on_even_times(rate):
    """And on those that a matroska rounds to milliseconds."""
    seconds = np.arange(2000) / float(rate)
    for times in (seconds, seconds.round(3)):
        assert rate_of_grid(times, (rate,)) == rate
        assert shown_at_ticks(times, rate, num_ticks=2000) == list(range(2000))


def test_a_grid_shows_each_frame_within_5_ms_of_its_own_time():
    """Whatever the lengths of the frames; the average rate is of no use there."""
    chance = np.random.default_rng(0)
    for _ in range(50):
        seconds = np.cumsum(chance.uniform(0.011, 0.2, 40))
        seconds -= seconds[0]
        rate = rate_of_grid(seconds, (Fraction(39) / Fraction(float(seconds[-1])),))
        shown = shown_at_ticks(seconds, rate, num_ticks=round(seconds[-1] * rate) + 1)
        begins = np.array([shown.index(frame) for frame in range(40)]) / float(rate)
        assert np.abs(begins - seconds).max() <= 0.005 + 1e-9


@pytest.mark.parametrize("percent", [0, 1, 10, 50, 90, 99])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_truncated_files_are_errors_that_name_the_file(good, tmp_path, suffix, percent):
    if suffix == ".mkv":
        good = tmp_path / "good.mkv"
        write_foreign(good, times=range(50), sound_start=0)
    path = tmp_path / f"cut{suffix}"
    data = good.read_bytes()
    path.write_bytes(data[: len(data) * percent // 100])
    if (suffix, percent) == (".mkv", 99):  # only the index of this one is cut off
        assert Clip.load(path).shape[0] == 50
        return
    with pytest.raises(ValueError, match=r"cut"):
        Clip.load(path)


def test_no_flipped_bit_gives_silent_garbage(good, tmp_path, psnr):
    original, data = Clip.load(good), good.read_bytes()
    chance = random.Random(0)
    path = tmp_path / "flipped.mp4"
    refused = 0
    for _ in range(60):
        damaged = bytearray(data)
        damaged[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        clip = _load_or_none(path)
        if clip is None:
            refused += 1
            continue
        assert clip.shape[0] in (original.shape[0], 0)
        if clip.frames is not None and clip.shape == original.shape:
            assert psnr(clip.frames, original.frames) > 25
    assert refused > 10


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"<html><body>not found</body></html>" * 50,
        b"#EXTM3U\n#EXTINF:1,\ngood.mp4\n",
        b"ffconcat version 1.0\nfile good.mp4\n",
        bytes(random.Random(0).randbytes(5000)),
        b"\x89PNG\r\n\x1a\n" + bytes(200),
    ],
    ids=["empty", "zero", "html", "playlist", "concat", "random", "png"],
)
def test_what_is_no_media_file_is_refused(good, tmp_path, content):
    (tmp_path / "good.mp4").write_bytes(good.read_bytes())
    for name in ("bad.mp4", "bad.wav", "bad.png"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=name):
            Clip.load(tmp_path / name)


def test_an_mp4_that_is_cut_off_anywhere_is_truncated(good):
    # also within the index, which lies at the end: without a look at it, the sound is just gone
    whole = good.read_bytes()
    index_at = whole.index(b"moov")
    for cut in [*range(64, index_at, 997), *range(index_at + 4, len(whole), 31), len(whole) - 1]:
        outcome = decode_clip(io.BytesIO(whole[:cut]), name="cut.mp4")
        assert isinstance(outcome, Rejection), cut
        assert outcome.reason is Reason.TRUNCATED, (cut, outcome.message)


def test_an_image_named_mp4_is_refused(small_clip, tmp_path):
    small_clip(1).save(tmp_path / "image.png")
    (tmp_path / "image.png").rename(tmp_path / "image.mp4")
    with pytest.raises(ValueError, match=r"image\.mp4"):
        Clip.load(tmp_path / "image.mp4")


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.mp4"):
        Clip.load(tmp_path / "none.mp4")
    with pytest.raises(IsADirectoryError, match=str(tmp_path)):
        Clip.load(tmp_path)
