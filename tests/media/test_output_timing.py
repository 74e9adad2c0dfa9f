"""O3, O4: the clock of written files, and the sizes they may have."""

from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from PIL import Image

from mmdiff.media.clip import Clip
from mmdiff.media.movie import AAC_FRAME

RATES = {
    "23.976": Fraction(24000, 1001),
    "24": Fraction(24),
    "25": Fraction(25),
    "29.97": Fraction(30000, 1001),
    "30": Fraction(30),
    "60": Fraction(60),
    "12.5": Fraction(25, 2),
}
SAMPLE_RATES = [16_000, 24_000, 44_100, 48_000]


def gray(num_frames, height=16, width=16):
    return torch.full((num_frames, height, width, 3), 90, dtype=torch.uint8)


@pytest.mark.parametrize("name", RATES)
@pytest.mark.parametrize("sample_rate", SAMPLE_RATES)
def test_o3_rates_are_exact_and_the_halves_are_equally_long(tmp_path, name, sample_rate):
    fps = RATES[name]
    num_samples = round(21 / fps * sample_rate)
    sound = 0.1 * torch.randn(1, num_samples, generator=torch.Generator().manual_seed(0))
    clip = Clip(gray(21), float(name) if "." in name else fps, sound.clamp(-1, 1), sample_rate)
    clip.save(tmp_path / "clip.mp4")
    with av.open(str(tmp_path / "clip.mp4")) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert video.average_rate == video.guessed_rate == fps
        assert audio.rate == sample_rate
        assert video.frames == 21
        lengths = [stream.duration * stream.time_base for stream in (video, audio)]
        shown = [frame.pts * frame.time_base for frame in container.decode(video)]
    assert lengths[0] == 21 / fps
    assert shown == [index / fps for index in range(21)]
    assert abs(lengths[0] - lengths[1]) <= 1 / fps + Fraction(AAC_FRAME, sample_rate)
    assert Clip.load(tmp_path / "clip.mp4").fps == fps


@pytest.mark.parametrize("name", RATES)
@pytest.mark.parametrize("sample_rate", SAMPLE_RATES)
def test_o3_flash_and_click_stay_together_for_a_minute(tmp_path, name, sample_rate):
    fps = RATES[name]
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


@pytest.mark.parametrize("side", [*range(8, 34), 127, 128, 1079, 1080, 2047, 2048])
def test_o4_even_sides_are_kept_and_odd_ones_refused_with_the_nearest(tmp_path, side):
    for height, width in ((side, 16), (16, side)):
        clip = Clip(gray(1, height, width), 16)
        if side % 2 == 0:
            clip.save(tmp_path / "clip.mp4")
            assert Clip.load(tmp_path / "clip.mp4").shape == (1, height, width)
            (tmp_path / "clip.mp4").unlink()
            continue
        nearest = f"{height + height % 2} x {width + width % 2}"
        with pytest.raises(ValueError, match=f"{height} x {width}.*even sides.*: {nearest}"):
            clip.save(tmp_path / "clip.mp4")
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".png", ".gif"])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 13), (9, 2047)])
def test_o4_pictures_take_any_size(tmp_path, suffix, height, width):
    for num_frames in (1, 3):  # of one color: Pillow joins equal frames of a gif
        Clip(gray(num_frames, height, width), 16).save(tmp_path / f"clip{suffix}")
        with Image.open(tmp_path / f"clip{suffix}") as image:
            assert image.size == (width if suffix == ".gif" else num_frames * width, height)


@pytest.mark.parametrize(
    ("height", "width", "nearest"), [(8194, 16, "8192 x 16"), (16, 20_000, "16 x 8192")]
)
def test_o4_larger_than_the_codec_is_refused(tmp_path, height, width, nearest):
    with pytest.raises(ValueError, match=nearest):
        Clip(gray(1, height, width), 16).save(tmp_path / "clip.mp4")


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
