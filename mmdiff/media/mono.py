"""Sound of many channels as one: by what each of them is for."""

from fractions import Fraction
from functools import cache
from math import sqrt

import av
import numpy as np
from einops import einsum, reduce
from torch import Tensor

USUAL_LAYOUTS = {3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}  # FFmpeg's defaults


def to_mono(waveform: Tensor, layout: str | None = None) -> Tensor:
    """1 samples: the mean of a stereo pair; of more channels the mean of their stereo downmix by
    ITU-R BS.775 (the low frequency effects are left out), whose peaks may pass full scale.

    waveform  channels samples
    layout    FFmpeg's name for which channel is which; None: the usual one of so many channels
    """
    channels = len(waveform)
    if channels <= 2:
        return reduce(waveform, "channels samples -> 1 samples", "mean")
    gains = waveform.new_tensor(gains_of(layout or USUAL_LAYOUTS[channels]))
    return einsum(gains, waveform, "channels, channels samples -> samples")[None]


@cache
def gains_of(layout: str) -> tuple[float, ...]:
    """Of each channel in the mix, from swresample's own matrix: what it makes of one sample of 1.

    Its matrix for mono is that of stereo times the root of 2; here a mono mix is a mean.

    Raises ValueError for a layout that it cannot mix.
    """
    channels = av.AudioLayout(layout).nb_channels
    impulses = np.ascontiguousarray(np.eye(channels, dtype=np.float32).reshape(1, -1))
    frame = av.AudioFrame.from_ndarray(impulses, format="flt", layout=layout)
    frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
    mixer = av.AudioResampler(format="flt", layout="mono", rate=48_000)
    mixed = [part.to_ndarray()[0] for one in (frame, None) for part in mixer.resample(one)]
    return tuple(float(gain) / sqrt(2) for gain in np.concatenate(mixed))


def within_full_scale(waveform: Tensor) -> tuple[Tensor, float | None]:
    """The waveform scaled down to a peak of 1, and the peak that it had; None where it passed full
    scale nowhere."""
    peak = float(waveform.abs().max()) if waveform.numel() else 0.0
    return (waveform, None) if peak <= 1 else (waveform / peak, peak)


def channels_phrase(waveform: Tensor, layout: str | None) -> str:
    """How many channels, and which where that matters: "6 channels (5.1)"."""
    channels = len(waveform)
    which = "" if channels <= 2 else f" ({layout or USUAL_LAYOUTS[channels]})"
    return f"{channels} channels{which}"
