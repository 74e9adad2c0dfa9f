from fractions import Fraction

import av
import numpy as np
import pytest

from mmdiff.media.reader import decode_clip
from tests.media.odd_files import write_media

TICKS = 240  # a second, of the times that frames of uneven length are given
PCM = {"sound_codec": "pcm_s16le", "sound_format": "s16"}


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
