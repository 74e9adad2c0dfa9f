"""The decoded samples of one stream, on the clock of the frames."""

from fractions import Fraction

import av
import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from mmdiff.media.decoded_frames import DecodedFrames
from mmdiff.media.footage import LARGEST_SAMPLE_RATE, MOST_CHANNELS
from mmdiff.media.limits import Span
from mmdiff.media.media_file import MediaFile
from mmdiff.media.mono import gains_of
from mmdiff.media.rejection import Reason

LARGEST_FILLING = 2048  # one frame of the widest codec
SMALLEST_CODED = 576  # samples of a frame: half of one of MPEG's
MOST_SILENT_PACKETS = 2  # the last is the flush; a codec may take one to begin
LARGEST_JITTER = Fraction(1, 30)  # seconds: stored times are rounded; more is a gap
SLOWEST_SAMPLE_RATE = 1000
LARGEST_PEAK = 100.0  # full scale is 1; more are integers that were stored as floats
OVERSHOOT = 1.25  # of a lossy codec: its own error, which players clip
FULL_SCALE = {"u8": 2**7, "s16": 2**15, "s32": 2**31}


class DecodedSound:
    """Collects the samples of a span; what is wrong with them is a RejectedMedia.

    Takes from the stream what it needs at once: its fields are gone when the file is closed.

    frames  that it is heard with: the span is theirs
    """

    def __init__(
        self, file: MediaFile, stream: av.AudioStream, span: Span, frames: DecodedFrames | None
    ) -> None:
        self.file = file
        self._frames = frames
        self.sample_rate = stream.rate
        self.num_channels = stream.channels
        self.layout = stream.layout.name if stream.channels > 2 else None
        self.notes: list[str] = []
        self._check_stream()
        time_base = stream.time_base or Fraction(1, stream.rate)
        self.stream_start = (stream.start_time or 0) * time_base
        self.stated_seconds = _stated_ticks(stream) * time_base  # 0: unknown
        self.span = span if frames is not None else span.on_grid(Fraction(stream.rate))
        self.is_done = False
        self._num_packets = 0
        self.num_samples = 0
        self.first_seconds: Fraction | None = None  # of the first samples that came
        self._time_base = time_base
        self._is_lossy = not stream.codec_context.codec.lossless
        self._first_pts = 0
        self._num_passed = 0  # samples since the first that came: kept, or let go
        self._samples_a_tick = time_base * self.sample_rate
        self._most_jitter = round(LARGEST_JITTER * self.sample_rate)
        self._chunks: list[np.ndarray] = []

    @property
    def begin_seconds(self) -> Fraction:
        """Of the span, on the clock of the file."""
        if self._frames is not None:
            return self._frames.begin_seconds
        return self.stream_start + self.span.start_seconds

    @property
    def stop_seconds(self) -> Fraction | None:
        """Of the span, on the clock of the file; None for its end."""
        if self._frames is not None:
            return self._frames.stop_seconds
        length = self.span.length_seconds
        return None if length is None else self.begin_seconds + length

    @property
    def start_seconds(self) -> Fraction | None:
        """Of the first samples that are kept, on the clock of the file."""
        if self.first_seconds is None:
            return None
        num_let_go = self._num_passed - self.num_samples
        return self.first_seconds + Fraction(num_let_go, self.sample_rate)

    @property
    def end_seconds(self) -> Fraction:
        """Of the last samples that came, on the clock of the file."""
        return (self.first_seconds or Fraction(0)) + Fraction(self._num_passed, self.sample_rate)

    @property
    def num_bytes(self) -> int:
        return 4 * self.num_samples * self.num_channels

    @property
    def is_mute(self) -> bool:
        """Whether the stream gave packets and not one sample: no codec does so."""
        return self.first_seconds is None and self._num_packets > MOST_SILENT_PACKETS

    @property
    def is_late(self) -> bool:
        """Whether the first samples came after the span began: the file was entered too late."""
        if self.first_seconds is None or self.first_seconds <= self.begin_seconds:
            return False
        return self.stream_start < self.first_seconds

    def check_claim(self, length_seconds: Fraction) -> None:
        """Before anything is decoded: raise RejectedMedia for more than the limits allow.

        length_seconds  of the file, as it states; 0 where it does not
        """
        num_samples = round(self.span.seconds_of(length_seconds) * self.sample_rate)
        self.file.check_bytes(4 * num_samples * self.num_channels, "open")

    def expect(self, packet: av.Packet) -> None:
        """Before each packet is decoded."""
        self._num_packets += 1

    def add(self, frame: av.AudioFrame) -> None:
        position = f"after {self.num_samples} samples"
        if frame.is_corrupt:
            raise self.file.rejection(
                Reason.DAMAGED, f"is damaged: its sound is corrupt {position}"
            )
        if frame.sample_rate != self.sample_rate or frame.layout.nb_channels != self.num_channels:
            text = f"changes its sample rate or channels {position}; encode it anew"
            raise self.file.rejection(Reason.UNSUPPORTED, text)
        if not frame.samples:
            return
        self._follow_time(frame)
        if self.span.is_whole:
            self._keep(_as_float(frame))
            return
        end = self.end_seconds + Fraction(frame.samples, self.sample_rate)
        if end > self.begin_seconds:
            self._keep(_as_float(frame))
            self.is_done = self.stop_seconds is not None and end >= self.stop_seconds
        else:
            self._num_passed += frame.samples

    def waveform(self) -> Tensor | None:
        """channels samples of the span: silence in front or a cut; None for nothing."""
        self._check_complete()
        if not self._chunks or self.start_seconds is None:
            return None
        waveform = np.concatenate(self._chunks, axis=1)[:, : self._length()]
        self._chunks = []
        offset = round((self.start_seconds - self.begin_seconds) * self.sample_rate)
        self.file.check_bytes(4 * (waveform.shape[1] + offset) * self.num_channels)
        shifted = waveform[:, max(-offset, 0) :]
        if offset > 0:
            shifted = np.pad(waveform, ((0, 0), (offset, 0)))
        if self.stop_seconds is not None:
            length = round((self.stop_seconds - self.begin_seconds) * self.sample_rate)
            shifted = shifted[:, :length]
        return torch.from_numpy(self._within_full_scale(shifted)) if shifted.size else None

    def _within_full_scale(self, samples: np.ndarray) -> np.ndarray:
        """Stored floats over full scale are scaled down by their peak, and the overshoot of a lossy
        codec is clipped."""
        peak = float(np.abs(samples).max())
        if not np.isfinite(peak):
            text = "is damaged: its sound holds NaN or infinity"
            raise self.file.rejection(Reason.DAMAGED, text)
        if peak <= 1:
            return samples
        if peak > LARGEST_PEAK:
            text = f"has samples up to {peak:g} of full scale: integers stored as floats; divide"
            raise self.file.rejection(Reason.UNSUPPORTED, f"{text} them by 32768 (16 bits)")
        if self._is_lossy and peak <= OVERSHOOT:
            self.notes.append(f"sound clipped from {peak:.3g} of full scale")
            return np.clip(samples, -1.0, 1.0)
        self.notes.append(f"sound turned down from {peak:.3g} of full scale")
        return (samples / np.float32(peak)).clip(-1.0, 1.0)

    def _check_stream(self) -> None:
        """Which channel is which must be known where there are more than two."""
        if not 1 <= self.num_channels <= MOST_CHANNELS:
            text = f"has {self.num_channels} channels of sound; 1 to {MOST_CHANNELS} are read"
            raise self.file.rejection(Reason.UNSUPPORTED, f"{text}: mix it down", "open")
        if not SLOWEST_SAMPLE_RATE <= self.sample_rate <= LARGEST_SAMPLE_RATE:
            text = f"is damaged: it states {self.sample_rate} samples a second of sound"
            raise self.file.rejection(Reason.DAMAGED, f"{text}; encode it anew", "open")
        if self.layout is None:
            return
        if self.layout.endswith("channels"):
            self.layout = None
            self.notes.append("channels without a layout taken for the usual one")
            return
        try:
            gains_of(self.layout)
        except (av.FFmpegError, ValueError):
            text = f"has sound of the layout {self.layout}, which cannot be mixed into one channel"
            raise self.file.rejection(Reason.UNSUPPORTED, f"{text}: mix it down", "open") from None

    def _check_complete(self) -> None:
        """Raise RejectedMedia where the stream ended, before the span did, and gave less than it
        states. Entered behind its end it gives nothing, and lacks nothing."""
        end = self.begin_seconds if self.first_seconds is None else self.end_seconds
        came = round((end - self.stream_start) * self.sample_rate)
        stated = round(self.stated_seconds * self.sample_rate)
        if not self.is_done and came + LARGEST_FILLING < stated:
            text = f"is truncated: {came} of {stated} samples could be read"
            raise self.file.rejection(Reason.TRUNCATED, text)

    def _follow_time(self, frame: av.AudioFrame) -> None:
        """Samples follow each other; where the times leave a gap, there is silence."""
        if self.first_seconds is None:
            self._first_pts = frame.pts or 0
            self.first_seconds = self._first_pts * self._time_base
            return
        if frame.pts is None:
            return
        scale = self._samples_a_tick  # in integers: fractions would cost more than the decoding
        due = (frame.pts - self._first_pts) * scale.numerator // scale.denominator
        gap = due - self._num_passed
        if gap < -self._most_jitter:
            text = f"is damaged: its sound goes back in time after {self.num_samples} samples"
            raise self.file.rejection(Reason.DAMAGED, text)
        if gap > self._most_jitter:
            self.file.check_bytes(4 * (self.num_samples + gap) * self.num_channels)
            self._keep(np.zeros((self.num_channels, gap), dtype=np.float32))

    def _length(self) -> int:
        """Codecs fill their last frame up: what is stated counts, if only filling is behind it."""
        start = self.start_seconds if self.span.is_whole else self.stream_start
        if not self.stated_seconds or start is None or self.start_seconds is None:
            return self.num_samples
        stated = round((start + self.stated_seconds - self.start_seconds) * self.sample_rate)
        return stated if 0 <= self.num_samples - stated < LARGEST_FILLING else self.num_samples

    def _keep(self, samples: np.ndarray) -> None:
        self._chunks.append(samples)
        self.num_samples += samples.shape[1]
        self._num_passed += samples.shape[1]


def _as_float(frame: av.AudioFrame) -> np.ndarray:
    """channels samples, float32; full scale is 1."""
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = rearrange(
            samples, "1 (samples channels) -> channels samples", samples=frame.samples
        )
    full_scale = FULL_SCALE.get(frame.format.name.removesuffix("p"))
    if full_scale is None:  # float or double
        return samples.astype(np.float32, copy=False)
    zero = full_scale if samples.dtype == np.uint8 else 0
    return ((samples.astype(np.float64) - zero) / full_scale).astype(np.float32)


def _stated_ticks(stream: av.AudioStream) -> int:
    """In ticks of the stream; what stands there for a matroska or a WMV is the length of the whole
    file, and an AVI whose ticks are coded frames also counts empty ones."""
    kind, ticks = stream.container.format.name, stream.duration or 0
    if "matroska" in kind or kind == "asf":
        return 0
    is_coded = stream.time_base and stream.time_base * stream.rate >= SMALLEST_CODED
    if kind == "avi" and is_coded:
        return min(ticks, len(stream.index_entries) or ticks)
    return ticks
