"""mmdiff: diffusion transformers that make short clips with sound.

The names below are loaded when they are first asked for (PEP 562), so that `import mmdiff` takes
no time and `mmdiff doctor` still runs where a library behind them is broken.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from mmdiff.autoencoders.audio_autoencoder import AudioAutoencoder
    from mmdiff.autoencoders.video_autoencoder import VideoAutoencoder
    from mmdiff.autoencoders.vocoder import Vocoder
    from mmdiff.backbone.transformer import DiffusionTransformer
    from mmdiff.media.clip import Clip
    from mmdiff.pipelines.output import MMDiffPipelineOutput
    from mmdiff.pipelines.pipeline import MMDiffPipeline
    from mmdiff.values.context import Context
    from mmdiff.values.latents import ClipLatents
    from mmdiff.values.shapes import ClipShape

_MODULES = {
    "AudioAutoencoder": "mmdiff.autoencoders.audio_autoencoder",
    "Clip": "mmdiff.media.clip",
    "ClipLatents": "mmdiff.values.latents",
    "ClipShape": "mmdiff.values.shapes",
    "Context": "mmdiff.values.context",
    "DiffusionTransformer": "mmdiff.backbone.transformer",
    "MMDiffPipeline": "mmdiff.pipelines.pipeline",
    "MMDiffPipelineOutput": "mmdiff.pipelines.output",
    "VideoAutoencoder": "mmdiff.autoencoders.video_autoencoder",
    "Vocoder": "mmdiff.autoencoders.vocoder",
}

__all__ = [
    "AudioAutoencoder",
    "Clip",
    "ClipLatents",
    "ClipShape",
    "Context",
    "DiffusionTransformer",
    "MMDiffPipeline",
    "MMDiffPipelineOutput",
    "VideoAutoencoder",
    "Vocoder",
    "__version__",
]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
