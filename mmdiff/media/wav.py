"""A waveform as the bytes of a 16-bit wav."""

import io
import wave

from einops import rearrange
from torch import Tensor

FULL_SCALE = 32_768


def encode_wav(waveform: Tensor, sample_rate: int) -> bytes:
    """The whole file.

    waveform  channels samples, float32 in [-1, 1]; 1.0 becomes the largest 16-bit number
    """
    integers = (waveform * FULL_SCALE).round().clamp(-FULL_SCALE, FULL_SCALE - 1)
    interleaved = rearrange(integers, "channels samples -> samples channels").cpu().numpy()
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(waveform.shape[0])
        writer.setsampwidth(2)
        writer.setframerate(sample_rate)
        writer.writeframes(interleaved.astype("<i2").tobytes())
    return file.getvalue()
