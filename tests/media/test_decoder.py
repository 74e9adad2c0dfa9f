"""Spans of a file, and frames and sound on one clock (V8)."""

import io
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest
import torch

from mmdiff.media.reader import decode_clip
from mmdiff.media.rejection import Reason, Rejection
from tests.media.corpus import pings, scene, write_media

TICKS = 240  # a second, of the times that frames of uneven length are given
SECONDS = 12
FPS = 16
PCM = {"sound_codec": "pcm_s16le", "sound_format": "s16"}
GROUPS = {"crf": "12", "g": "20", "bf": "3", "sc_threshold": "0"}
KINDS = {
    "groups.mp4": {"codec_options": GROUPS},
    "groups.mkv": {"codec_options": GROUPS, **PCM},
    "one_group.mkv": {"codec_options": {"crf": "12", "g": "999"}, **PCM},
    "open_groups.mkv": {"codec_options": {**GROUPS, "x264-params": "open-gop=1"}, **PCM},
    "vp9.webm": {
        "codec": "libvpx-vp9",
        "codec_options": {"deadline": "realtime", "cpu-used": "8", "g": "20"},
        "sound_codec": "flac",
        "sound_format": "s16",
        "container": "matroska",
    },
    "plain.avi": {"codec": "mpeg4", **PCM},
    "late.mkv": {"codec_options": GROUPS, "times": range(40, 40 + SECONDS * FPS), **PCM},
    "sound.wav": {"frames": None, **PCM},
    "sound.flac": {"frames": None, "sound_codec": "flac", "sound_format": "s16"},
}
SPANS = [(0, 1), (0.3, 1.7), (2.3, 4.1), (5, 5.01), (6.03, None), (11, 12), (11.4, None)]


class CountingStream(io.BytesIO):
    """Knows which of its bytes were read."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.is_read = np.zeros(len(content), dtype=bool)

    def read(self, size: int | None = -1, /) -> bytes:
        place = self.tell()
        content = super().read(size)
        self.is_read[place : place + len(content)] = True
        return content


@pytest.fixture(scope="module", params=KINDS)
def long_file(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("spans") / request.param
    settings = {"frames": scene(SECONDS * FPS), "waves": (pings(SECONDS),)} | KINDS[request.param]
    write_media(path, **settings)
    return path, decode_clip(path)


@pytest.mark.parametrize("span", SPANS, ids=str)
def test_a_span_is_the_part_of_the_whole(long_file, span):
    path, whole = long_file
    part = decode_clip(path, start_seconds=span[0], end_seconds=span[1])
    assert not isinstance(part, Rejection), part
    rate = whole.fps if whole.frames is not None else whole.sample_rate
    first = round(Fraction(span[0]) * rate)
    end = whole.duration_seconds if span[1] is None else Fraction(span[1])
    last = max(round(end * rate), first + 1)
    if whole.frames is not None:
        assert torch.equal(part.frames, whole.frames[first:last])
    starts, stops = (round(Fraction(tick) / rate * whole.sample_rate) for tick in (first, last))
    expected = whole.waveform[:, starts : None if span[1] is None else stops]
    if expected.numel() == 0:  # the sound ends before the span
        assert part.waveform is None
        return
    assert part.waveform.shape == expected.shape
    atol = 1e-3 if path.suffix == ".mp4" else 0  # AAC draws its noise anew
    torch.testing.assert_close(part.waveform, expected, atol=atol, rtol=0)


def test_neighbouring_spans_neither_overlap_nor_leave_a_gap(long_file):
    path, whole = long_file
    places = [0, 1.03, 2.517, 7.77, None]
    parts = [
        decode_clip(path, start_seconds=start, end_seconds=end) for start, end in pairwise(places)
    ]
    if whole.frames is not None:
        assert torch.equal(torch.cat([part.frames for part in parts]), whole.frames)
    assert sum(part.num_samples for part in parts) == whole.num_samples


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_span_reads_little_more_than_it_needs(tmp_path, suffix):
    path = tmp_path / f"long.{suffix}"
    frames = np.random.default_rng(0).integers(0, 256, (160, 48, 64, 3), dtype=np.uint8)
    write_media(path, frames=frames, codec_options={"g": "16", "crf": "20"}, waves=(pings(10),))
    stream = CountingStream(path.read_bytes())
    clip = decode_clip(stream, name=path.name, start_seconds=5, end_seconds=6)
    assert clip.num_frames == 16
    assert stream.is_read.mean() < 0.5


@pytest.mark.parametrize(
    "span", [(-1, 2), (2, 2), (3, 1), (float("nan"), 2), (0, float("inf")), (12.5, None), (3, 20)]
)
def test_a_span_outside_of_the_file_is_refused(long_file, span):
    outcome = decode_clip(long_file[0], start_seconds=span[0], end_seconds=span[1])
    assert isinstance(outcome, Rejection)
    assert outcome.reason is Reason.BAD_SPAN


def test_a_span_of_frames_of_uneven_length_is_the_part_of_the_whole(tmp_path):
    chance = np.random.default_rng(1)
    times = np.cumsum(chance.integers(1, 6, 90)) * 2
    path = tmp_path / "uneven.mkv"
    write_media(path, frames=scene(90), times=list(times), codec="ffv1", pix_fmt="bgr0")
    whole = decode_clip(path)
    for start, end in ((1, 3), (4.2, 9.9), (10, 10.5)):
        part = decode_clip(path, start_seconds=start, end_seconds=end)
        first, last = round(start * whole.fps), round(end * whole.fps)
        assert torch.equal(part.frames, whole.frames[first:last])


def test_at_most_is_no_demand(tmp_path):
    """A file may be shorter than what is needed at most; a span outside of it is refused."""
    path = tmp_path / "clip.mp4"
    write_media(path, frames=scene(FPS), waves=(pings(1),))
    whole = decode_clip(path)
    more, less = decode_clip(path, at_most_seconds=9), decode_clip(path, at_most_seconds=0.5)
    assert torch.equal(more.frames, whole.frames)
    assert torch.equal(less.frames, whole.frames[: FPS // 2])
    refused = decode_clip(path, end_seconds=9, at_most_seconds=10)
    assert isinstance(refused, Rejection)
    assert refused.reason == Reason.BAD_SPAN


def _uneven_times(seconds: int) -> list[int]:
    """Frames of 1/60 to 1/8 second, in ticks."""
    lengths = np.random.default_rng(2).integers(4, 30, 1000)
    times = np.cumsum(lengths) - lengths[0]
    return [int(time) for time in times if time < seconds * TICKS]


def _even_times(seconds: int) -> list[int]:
    return list(range(0, seconds * TICKS, 10))


def _write_flash_and_click(path, *, times, late_picture=0.0, late_sound=0.0, rate, **settings):
    """One white frame at about 2 seconds of the clock, and a click at the same instant."""
    frames = np.zeros((len(times), 32, 32, 3), dtype=np.uint8)
    shift = round(late_picture * TICKS)
    shown = [time + shift for time in times]
    flash = min(range(len(shown)), key=lambda index: abs(shown[index] - 2 * TICKS))
    frames[flash] = 255
    wave = np.zeros((1, 4 * rate), dtype=np.float32)
    click = round((shown[flash] / TICKS - late_sound) * rate)
    wave[0, click : click + rate // 200] = 0.9
    write_media(
        path,
        frames=frames,
        times=shown,
        fps=TICKS,
        waves=(wave,),
        rate=rate,
        sound_start=late_sound,
        **settings,
    )


def _error_seconds(clip) -> Fraction:
    """Between the flash and the click, of a decoded clip."""
    brightness = clip.frames.float().mean(dim=(1, 2, 3))
    flash = int((brightness > 100).nonzero()[0])
    click = int((clip.waveform[0].abs() > 0.4).nonzero()[0])
    return abs(Fraction(flash) / clip.fps - Fraction(click, clip.sample_rate))


@pytest.mark.parametrize("span", [(None, None), (0.61, 2.97)], ids=["whole", "span"])
@pytest.mark.parametrize("late", [(0, 0), (0.5, 0), (0, 0.7), (0.9, 0.3)], ids=str)
@pytest.mark.parametrize("kind", ["uneven.mkv", "uneven.mp4", "even.mkv", "even.mp4", "even.mov"])
def test_v8_flash_and_click_stay_together(tmp_path, kind, late, span):
    path = tmp_path / kind
    times = _uneven_times(4) if kind.startswith("uneven") else _even_times(4)
    sound = {} if kind.endswith("mp4") else PCM
    _write_flash_and_click(
        path, times=times, late_picture=late[0], late_sound=late[1], rate=44_100, **sound
    )
    clip = decode_clip(path, start_seconds=span[0], end_seconds=span[1])
    assert _error_seconds(clip) <= 1 / clip.fps
    assert _error_seconds(clip) <= Fraction(1, 15)


@pytest.mark.parametrize("span", [(None, None), (0.61, 2.97)], ids=["whole", "span"])
@pytest.mark.parametrize("sound", [PCM, {"sound_codec": "libmp3lame"}], ids=["pcm", "mp3"])
@pytest.mark.parametrize("bidirectional", [0, 2])
@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_v8_an_avi_knows_only_the_order_of_its_packets(tmp_path, codec, bidirectional, sound, span):
    """And holds empty packets where a frame is repeated, which its header counts."""
    path = tmp_path / "clip.avi"
    options = {"bf": str(bidirectional)}
    _write_flash_and_click(
        path, times=_even_times(4), rate=44_100, codec=codec, codec_options=options, **sound
    )
    clip = decode_clip(path, start_seconds=span[0], end_seconds=span[1])
    assert _error_seconds(clip) <= Fraction(1, 24)  # one of the frames that were given
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.frames > len(stream.index_entries) == len(_even_times(4))


def test_v8_a_gap_in_the_sound_is_silence_not_a_shift(tmp_path):
    """Half a second of packets is left out, as a recorder does that could not keep up."""
    path, cut = tmp_path / "whole.mkv", tmp_path / "gap.mkv"
    _write_flash_and_click(path, times=_even_times(4), rate=16_000, **PCM)
    _leave_out_sound(path, cut, start_seconds=0.5, end_seconds=1.0)
    whole, gap = decode_clip(path), decode_clip(cut)
    assert gap.num_samples == whole.num_samples
    assert _error_seconds(gap) <= 1 / gap.fps


def _leave_out_sound(source, target, *, start_seconds, end_seconds) -> None:
    with av.open(str(source)) as taken, av.open(str(target), "w") as given:
        streams = {stream.index: given.add_stream_from_template(stream) for stream in taken.streams}
        for packet in taken.demux():
            if not packet.size:
                continue
            seconds = packet.pts * packet.time_base
            if packet.stream.type == "audio" and start_seconds <= seconds < end_seconds:
                continue
            packet.stream = streams[packet.stream.index]
            given.mux(packet)


def test_a_recording_that_begins_between_key_frames_begins_with_the_first_that_is_read(tmp_path):
    """As a tuner leaves it: the frames before the first key frame are lost, and no frame is held in
    their place."""
    whole, cut = tmp_path / "whole.ts", tmp_path / "cut.ts"
    options = {"g": "10", "sc_threshold": "1000000000", "q": "2"}
    wave = pings(2, rate=48_000)
    write_media(
        whole,
        frames=scene(50),
        fps=25,
        codec="mpeg2video",
        codec_options=options,
        waves=(wave,),
        rate=48_000,
    )
    with av.open(str(whole)) as container:
        keys = [one.pos for one in container.demux(video=0) if one.is_keyframe and one.size]
    cut.write_bytes(whole.read_bytes()[keys[0] + 188 * 3 :])
    clip, full = decode_clip(cut), decode_clip(whole)
    assert not isinstance(clip, Rejection), clip
    assert clip.fps == 25 and clip.num_frames <= 40
    assert torch.equal(clip.frames, full.frames[-clip.num_frames :])
