"""How loud a sound is: LUFS where it lasts long enough to be heard, dBFS where it does not."""

import math
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

SHORTEST_SECONDS = 0.4  # one block of ITU-R BS.1770
MOST_CHANNELS = 5
FLOOR = -70.0  # what is more quiet is silence: the absolute gate of BS.1770


@dataclass(frozen=True)
class Loudness:
    """LUFS by ITU-R BS.1770-4; dBFS of the root mean square for a sound of under 0.4 s or of more
    than 5 channels. Silence is -70 of either."""

    value: float
    unit: Literal["LUFS", "dBFS"]

    @property
    def is_silence(self) -> bool:
        return self.value <= FLOOR


def loudness_of(waveform: Tensor, sample_rate: int) -> Loudness:
    """waveform  channels samples, float32 in [-1, 1]"""
    channels, num_samples = waveform.shape
    if num_samples < SHORTEST_SECONDS * sample_rate or channels > MOST_CHANNELS:
        power = float(waveform.double().square().mean())
        return Loudness(_floored(10 * math.log10(power) if power else FLOOR), "dBFS")
    from torchaudio.functional import loudness  # half a second to import

    # Its filters raise treble by 4 dB and clamp at 1: loud sounds are measured at half height.
    scale = 0.5 if float(waveform.abs().max()) > 0.5 else 1.0
    value = float(loudness(scale * waveform, sample_rate)) - 20 * math.log10(scale)
    return Loudness(_floored(value), "LUFS")


def _floored(value: float) -> float:
    return max(value, FLOOR) if math.isfinite(value) else FLOOR
