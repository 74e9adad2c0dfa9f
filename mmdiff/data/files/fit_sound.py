"""The sound of a clip at the rate and length of a spec, mono."""

from fractions import Fraction
from math import ceil, floor

from einops import reduce
from torch import Tensor
from torch.nn import functional

from mmdiff.data.files.clip_spec import ClipSpec
from mmdiff.media.clip import Clip
from mmdiff.media.resample import resample_waveform

MARGIN_SECONDS = Fraction(1, 20)  # around a cut, so that the filter of resampling sees no end
LARGEST_RATIO_PART = 1000  # rates such as 44101 : 16000 would need a filter of gigabytes


def fit_sound(
    clip: Clip, spec: ClipSpec, *, start_seconds: Fraction
) -> tuple[Tensor, tuple[str, ...]]:
    """1 samples, float32 in [-1, 1], from `start_seconds` on, silence behind the end; and what was
    done to get there."""
    assert clip.waveform is not None
    assert clip.sample_rate is not None
    adaptations = []
    waveform, channels = clip.waveform, clip.waveform.shape[0]
    if channels > 1:
        adaptations.append(f"mono from {channels} channels")
    if clip.sample_rate != spec.sample_rate:
        adaptations.append(f"{clip.sample_rate} -> {spec.sample_rate} Hz")
    waveform = _stretch(waveform, clip.sample_rate, spec, start_seconds)[:, : spec.num_samples]
    silence = spec.num_samples - waveform.shape[1]
    if silence:
        heard = float(clip.audio_seconds - start_seconds)
        adaptations.append(f"silence behind {heard:.3g} s of sound")
    return functional.pad(waveform, (0, silence)).contiguous(), tuple(adaptations)


def _stretch(waveform: Tensor, rate: int, spec: ClipSpec, start: Fraction) -> Tensor:
    """1 samples from `start` on, up to `num_samples`, as if the whole were resampled and then cut.

    The cut before resampling lies on a sample that both rates share.
    """
    ratio = Fraction(rate, spec.sample_rate).limit_denominator(LARGEST_RATIO_PART)
    block = ratio.numerator  # samples in, which become ratio.denominator samples out
    first = round(start * spec.sample_rate)
    margin = ceil(MARGIN_SECONDS * rate)
    begin = max(0, floor((first * ratio - margin) / block)) * block
    end = ceil((first + spec.num_samples) * ratio) + margin
    part = reduce(waveform[:, begin:end], "channels samples -> 1 samples", "mean")
    part = resample_waveform(part, ratio.numerator, ratio.denominator)
    skipped = first - begin // block * ratio.denominator
    return part[:, skipped:]
