"""Movies that are written and read again: O3 their clock, O4 their sizes, O5 their content."""

from fractions import Fraction

import av
import numpy as np
import pytest
import torch

from mmdiff.media.clip import Clip
from mmdiff.media.footage import exact_rate
from mmdiff.media.movie import AAC_FRAME, encode_movie
from mmdiff.media.resample import resample_waveform

RATES = [24000 / 1001, 24, 25, 29.97, 30, 60, 12.5, 16]
SAMPLE_RATES = [16_000, 24_000, 44_100, 48_000]


def gray(num_frames, height=16, width=16):
    return torch.full((num_frames, height, width, 3), 90, dtype=torch.uint8)


def _check_same(again, clip, psnr):
    assert psnr(again.frames, clip.frames) >= 30
    assert len(again.waveform) == len(clip.waveform)
    assert abs(again.num_samples - clip.num_samples) <= AAC_FRAME
    shared = min(again.num_samples, clip.num_samples)
    error = again.waveform[:, :shared] - clip.waveform[:, :shared]
    assert error.square().mean() < 1e-2 * clip.waveform.square().mean()


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("sample_rate", SAMPLE_RATES)
def test_o3_o5_an_mp4_read_again_is_the_clip(small_clip, psnr, tmp_path, rate, sample_rate):
    fps = exact_rate(rate)
    clip = small_clip(21, fps=fps, sample_rate=sample_rate)
    clip.save(tmp_path / "clip.mp4")
    with av.open(str(tmp_path / "clip.mp4")) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert video.average_rate == video.guessed_rate == fps
        assert (video.frames, audio.rate) == (21, sample_rate)
        lengths = [stream.duration * stream.time_base for stream in (video, audio)]
        shown = [frame.pts * frame.time_base for frame in container.decode(video)]
    assert lengths[0] == 21 / fps
    assert shown == [index / fps for index in range(21)]
    assert abs(lengths[0] - lengths[1]) <= 1 / fps + Fraction(AAC_FRAME, sample_rate)
    again = Clip.load(tmp_path / "clip.mp4")
    assert (again.shape, again.fps, again.sample_rate) == (clip.shape, fps, sample_rate)
    _check_same(again, clip, psnr)


@pytest.mark.parametrize("suffix", [".mov", ".webm"])
@pytest.mark.parametrize("fps", [16, Fraction(30000, 1001)])
def test_o5_every_movie_keeps_frames_rate_and_the_time_of_the_sound(
    small_clip, psnr, tmp_path, suffix, fps
):
    clip = small_clip(fps=Fraction(fps), sample_rate=48_000)
    clip.save(tmp_path / f"clip{suffix}")
    again = Clip.load(tmp_path / f"clip{suffix}")
    assert (again.shape, again.fps, again.sample_rate) == (clip.shape, clip.fps, 48_000)
    _check_same(again, clip, psnr)


def test_a_webm_takes_the_rate_of_the_bundled_model(small_clip, tmp_path):
    clip = small_clip(sample_rate=16_000)
    clip.save(tmp_path / "clip.webm")
    again = Clip.load(tmp_path / "clip.webm")  # Opus is always decoded at 48,000
    wanted = resample_waveform(clip.waveform, 16_000, again.sample_rate)
    shared = min(again.num_samples, wanted.shape[1])
    error = again.waveform[:, :shared] - wanted[:, :shared]
    assert error.square().mean() < 1e-2 * wanted.square().mean()


@pytest.mark.parametrize(
    ("fps", "sample_rate"),
    [(Fraction(24000, 1001), 44_100), (Fraction(30000, 1001), 48_000), (Fraction(25, 2), 16_000)],
)
def test_o3_flash_and_click_stay_together_for_a_minute(tmp_path, fps, sample_rate):
    frames = gray(int(60 * fps))
    flashes = [round(seconds * fps) for seconds in (1, 20, 40, 59)]
    frames[flashes] = 250
    sound = torch.zeros(1, round(len(frames) / fps * sample_rate))
    for flash in flashes:
        start = round(flash / fps * sample_rate)
        sound[0, start : start + sample_rate // 50] = 0.9
    Clip(frames, fps, sound, sample_rate).save(tmp_path / "clip.mp4")
    with av.open(str(tmp_path / "clip.mp4")) as container:
        seen = [f.time for f in container.decode(video=0) if bytes(f.planes[0])[0] > 170]
        container.seek(0)
        heard = []
        for frame in container.decode(audio=0):
            loud = np.flatnonzero(np.abs(frame.to_ndarray()[0]) > 0.45)
            heard += [frame.time + loud[0] / sample_rate] if len(loud) else []
    clicks = [
        second for index, second in enumerate(heard) if not index or second - heard[index - 1] > 1
    ]
    assert len(seen) == len(clicks) == 4
    assert max(abs(one - other) for one, other in zip(seen, clicks, strict=True)) <= 0.020


def test_o4_even_sides_are_kept_and_others_refused_with_the_nearest(tmp_path):
    path = tmp_path / "clip.mp4"
    for height, width in [(side, 16) for side in (8, 9, 10, 127, 128, 1079, 1080)] + [(16, 2047)]:
        clip = Clip(gray(1, height, width), 16)
        if height % 2 == width % 2 == 0:
            clip.save(path)
            assert Clip.load(path).shape == (1, height, width)
            path.unlink()
            continue
        nearest = f"{height + height % 2} x {width + width % 2}"
        with pytest.raises(ValueError, match=f"{height} x {width}.*even sides.*: {nearest}"):
            clip.save(path)
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("height", "width", "nearest"), [(8194, 16, "8192 x 16"), (16, 20_000, "16 x 8192")]
)
def test_o4_larger_than_the_codec_is_refused(tmp_path, height, width, nearest):
    with pytest.raises(ValueError, match=nearest):
        Clip(gray(1, height, width), 16).save(tmp_path / "clip.mp4")


@pytest.mark.parametrize(("num_frames", "height", "width"), [(1, 2, 2), (2, 8, 130), (3, 64, 96)])
def test_o5_short_and_small_clips_keep_their_frames(
    small_clip, tmp_path, num_frames, height, width
):
    clip = small_clip(num_frames, height=height, width=width, sample_rate=None)
    clip.save(tmp_path / "clip.mp4")
    again = Clip.load(tmp_path / "clip.mp4")
    assert (again.shape, again.fps, again.waveform) == (clip.shape, clip.fps, None)


def test_o5_sound_alone_and_stereo_survive_an_mp4(small_clip, tmp_path):
    stereo = small_clip(channels=2)
    sound = Clip(waveform=stereo.waveform, sample_rate=stereo.sample_rate)
    sound.save(tmp_path / "sound.mp4")
    again = Clip.load(tmp_path / "sound.mp4")
    assert again.frames is None
    assert again.waveform.shape == sound.waveform.shape
    loudness = again.waveform.square().mean(dim=1).sqrt()
    assert loudness[1] / loudness[0] == pytest.approx(0.5, rel=0.05)


def test_silence_stays_silent(tmp_path):
    Clip(waveform=torch.zeros(1, 16_000), sample_rate=16_000).save(tmp_path / "silence.mp4")
    assert Clip.load(tmp_path / "silence.mp4").waveform.abs().max() < 1e-3


@pytest.mark.parametrize(
    "color", [(255, 255, 255), (0, 0, 0), (220, 40, 30), (30, 200, 60), (40, 60, 230)]
)
def test_flat_colors_survive_an_mp4(tmp_path, color):
    frames = torch.tensor(color, dtype=torch.uint8).expand(2, 32, 32, 3).contiguous()
    Clip(frames).save(tmp_path / "flat.mp4")
    again = Clip.load(tmp_path / "flat.mp4").frames
    assert (again.int() - frames.int()).abs().max() <= 4


def test_o5_what_is_hard_to_encode_comes_back(small_clip, psnr, tmp_path):
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (5, 64, 64, 1), generator=generator).expand(-1, -1, -1, 3)
    rows = torch.arange(64)[None, :, None, None].expand(5, 64, 64, 3)
    hard = {
        "gray noise": noise.to(torch.uint8),
        "checkerboard": (255 * ((rows + rows.transpose(1, 2)) % 2)).to(torch.uint8),
        "ramp": (4 * rows).to(torch.uint8),
        "cuts": torch.stack([torch.full((64, 64, 3), 50 * index) for index in range(5)]).byte(),
    }
    for name, frames in hard.items():
        clip = Clip(frames.contiguous(), 16, small_clip(5).waveform, 16_000)
        clip.save(tmp_path / "clip.mp4")
        again = Clip.load(tmp_path / "clip.mp4")
        assert again.num_frames == 5
        assert abs(again.num_samples - clip.num_samples) <= AAC_FRAME
        assert psnr(again.frames, clip.frames) >= 30, name


def luma(frames):
    """BT.601 luma of frames, as frames: the part of a picture that 4:2:0 keeps at every pixel."""
    gray = frames.double() @ torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)
    return gray[..., None].expand(frames.shape)


COLOR_DETAIL = {
    "stripes of red and blue": lambda rows, columns: rows % 2,
    "checkerboard of red and blue": lambda rows, columns: (rows + columns) % 2,
}


@pytest.mark.parametrize("name", COLOR_DETAIL)
def test_o5_detail_in_color_alone_survives_as_luma(psnr, tmp_path, name):
    # An mp4 that every player shows is 4:2:0: one color for 2 x 2 pixels. Where neighbours differ
    # in color their color becomes the mean of both; how light each is stays, and so do areas.
    rows, columns = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    is_blue = COLOR_DETAIL[name](rows, columns).bool()
    frames = torch.tensor([255, 0, 0]).repeat(5, 64, 64, 1)
    frames[:, is_blue] = torch.tensor([0, 0, 255])
    Clip(frames.byte(), 16).save(tmp_path / "clip.mp4")
    again = Clip.load(tmp_path / "clip.mp4").frames
    assert psnr(luma(again), luma(frames)) >= 25
    wide = [x.double().mean(dim=(1, 2)) for x in (again, frames)]
    assert (wide[0] - wide[1]).abs().max() <= 10
    assert psnr(again, frames) < 30  # the limit: told here, so that it is noticed if it moves


def test_o5_areas_of_color_survive_up_to_two_pixels_from_their_edges(psnr, tmp_path):
    rows, columns = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    frames = torch.tensor([200, 60, 60]).repeat(5, 64, 64, 1)
    frames[:, (rows // 8 + columns // 8) % 2 == 1] = torch.tensor([60, 60, 200])
    Clip(frames.byte(), 16).save(tmp_path / "clip.mp4")
    again = Clip.load(tmp_path / "clip.mp4").frames
    is_inside = torch.stack([axis % 8 for axis in (rows, columns)]).sub(3.5).abs().amax(0) < 2
    assert psnr(again[:, is_inside], frames[:, is_inside]) >= 35


def test_d1_bytes_do_not_depend_on_what_memory_held(small_clip):
    """One in twenty was another file, while x264 looked for macroblocks that are referred to."""
    clip, contents = small_clip(33), set()
    for index in range(40):
        rubbish = [torch.randn(100 + 37 * index) for _ in range(50)]
        contents.add(encode_movie(clip, ".mp4"))
        del rubbish
    assert len(contents) == 1


def test_the_file_holds_no_time_of_day(small_clip, tmp_path):
    small_clip(2).save(tmp_path / "clip.mp4")
    with av.open(str(tmp_path / "clip.mp4")) as container:
        assert "creation_time" not in container.metadata
        assert all("creation_time" not in stream.metadata for stream in container.streams)
