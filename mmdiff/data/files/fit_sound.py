"""The sound of a clip at the rate and length of a spec, mono."""

from fractions import Fraction
from math import ceil, floor

from torch import Tensor
from torch.nn import functional

from mmdiff.data.files.clip_spec import ClipSpec
from mmdiff.media.clip import Clip
from mmdiff.media.mono import channels_phrase, to_mono, within_full_scale
from mmdiff.media.resample import LARGEST_RATIO_PART, resample_waveform

MARGIN_SECONDS = Fraction(1, 20)  # around a cut, so that the filter of resampling sees no end


def fit_sound(
    clip: Clip, spec: ClipSpec, *, start_seconds: Fraction
) -> tuple[Tensor, tuple[str, ...]]:
    """1 samples, float32 in [-1, 1], from `start_seconds` on, silence behind the end; and what was
    done to get there."""
    assert clip.waveform is not None
    assert clip.sample_rate is not None
    adaptations = []
    if len(clip.waveform) > 1:
        adaptations.append(f"mono from {channels_phrase(clip.waveform, clip.channel_layout)}")
    if clip.sample_rate != spec.sample_rate:
        adaptations.append(f"{clip.sample_rate} -> {spec.sample_rate} Hz")
    waveform, peak = _stretch(clip, clip.sample_rate, spec, start_seconds)
    if peak is not None:
        adaptations.append(f"mix turned down from {peak:.3g} of full scale")
    waveform = waveform[:, : spec.num_samples]
    silence = spec.num_samples - waveform.shape[1]
    if silence:
        heard = float(clip.audio_seconds - start_seconds)
        adaptations.append(f"silence behind {heard:.3g} s of sound")
    return functional.pad(waveform, (0, silence)).contiguous(), tuple(adaptations)


def _stretch(clip: Clip, rate: int, spec: ClipSpec, start: Fraction) -> tuple[Tensor, float | None]:
    """1 samples from `start` on, up to `num_samples`, as if the whole were resampled and then cut;
    and the peak of the mix where it passes full scale.

    The cut before resampling lies on a sample that both rates share.
    """
    ratio = Fraction(rate, spec.sample_rate).limit_denominator(LARGEST_RATIO_PART)
    block = ratio.numerator  # samples in, which become ratio.denominator samples out
    first = round(start * spec.sample_rate)
    margin = ceil(MARGIN_SECONDS * rate)
    begin = max(0, floor((first * ratio - margin) / block)) * block
    end = ceil((first + spec.num_samples) * ratio) + margin
    assert clip.waveform is not None
    mono = to_mono(clip.waveform[:, begin:end], clip.channel_layout)
    part, peak = within_full_scale(mono)
    part = resample_waveform(part, ratio.numerator, ratio.denominator)
    skipped = first - begin // block * ratio.denominator
    return part[:, skipped:], peak
