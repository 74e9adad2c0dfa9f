"""The latent grid of a pipeline: what its autoencoders and vocoder say of themselves."""

from fractions import Fraction
from typing import Any

from mmdiff.values.shapes import LatentGrid

DEFAULT = LatentGrid()


def grid_of(vae: Any, audio_vae: Any, vocoder: Any, *, frame_rate: float) -> LatentGrid:
    """Rates and factors of the components.

    Where a component is missing or does not tell, those of the default clip.
    """
    return LatentGrid(
        frame_rate=Fraction(frame_rate),
        sample_rate=_fact(vocoder, "output_sampling_rate", DEFAULT.sample_rate),
        hop_length=_fact(vocoder, "hop_length", DEFAULT.hop_length),
        time_compression=_fact(vae, "time_compression", DEFAULT.time_compression),
        space_compression=_fact(vae, "space_compression", DEFAULT.space_compression),
        video_channels=_fact(vae, "latent_channels", DEFAULT.video_channels),
        mel_bins=_fact(audio_vae, "mel_bins", DEFAULT.mel_bins),
        audio_time_compression=_fact(audio_vae, "time_compression", DEFAULT.audio_time_compression),
        audio_mel_compression=_fact(audio_vae, "mel_compression", DEFAULT.audio_mel_compression),
        audio_channels=_fact(audio_vae, "latent_channels", DEFAULT.audio_channels),
    )


def _fact(component: Any, name: str, default: int) -> int:
    config = getattr(component, "config", None)
    found = getattr(config, name, None) or component.__class__.__dict__.get(name)
    return default if found is None else int(found)
