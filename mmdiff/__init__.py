"""mmdiff: diffusion transformers that make short clips with sound.

The names below are loaded when they are first asked for (PEP 562), so that `import mmdiff` takes
no time and `mmdiff doctor` still runs where a library behind them is broken.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from mmdiff.apps.run_folder import load_from_checkpoint
    from mmdiff.autoencoders.audio_autoencoder import AudioAutoencoder
    from mmdiff.autoencoders.video_autoencoder import VideoAutoencoder
    from mmdiff.autoencoders.vocoder import Vocoder
    from mmdiff.backbone.transformer import DiffusionTransformer
    from mmdiff.conditioning.extend import Extend
    from mmdiff.conditioning.first_frame import FirstFrame
    from mmdiff.conditioning.given_audio import GivenAudio
    from mmdiff.conditioning.given_video import GivenVideo
    from mmdiff.conditioning.inpaint import Inpaint
    from mmdiff.conditioning.keyframes import Keyframes
    from mmdiff.conditioning.partial_noise import PartialNoise
    from mmdiff.guidance.backbone_guiders import Autoguidance, ModalityGuidance, SkipLayer
    from mmdiff.guidance.classifier_energy import ClassifierEnergy
    from mmdiff.guidance.clip_energy import CLIPEnergy
    from mmdiff.guidance.frame_consistency import FlickerEnergy, FrameConsistency
    from mmdiff.guidance.sync_energy import SyncEnergy
    from mmdiff.guidance.text_guiders import ClassifierFree, ClassifierFreeZeroStar, Projected
    from mmdiff.media.clip import Clip
    from mmdiff.pipelines.output import MMDiffPipelineOutput
    from mmdiff.pipelines.pipeline import MMDiffPipeline
    from mmdiff.values.context import Context
    from mmdiff.values.latents import ClipLatents
    from mmdiff.values.shapes import ClipShape

_MODULES = {
    "AudioAutoencoder": "mmdiff.autoencoders.audio_autoencoder",
    "Autoguidance": "mmdiff.guidance.backbone_guiders",
    "CLIPEnergy": "mmdiff.guidance.clip_energy",
    "ClassifierEnergy": "mmdiff.guidance.classifier_energy",
    "ClassifierFree": "mmdiff.guidance.text_guiders",
    "ClassifierFreeZeroStar": "mmdiff.guidance.text_guiders",
    "Clip": "mmdiff.media.clip",
    "ClipLatents": "mmdiff.values.latents",
    "ClipShape": "mmdiff.values.shapes",
    "Context": "mmdiff.values.context",
    "DiffusionTransformer": "mmdiff.backbone.transformer",
    "Extend": "mmdiff.conditioning.extend",
    "FirstFrame": "mmdiff.conditioning.first_frame",
    "FlickerEnergy": "mmdiff.guidance.frame_consistency",
    "FrameConsistency": "mmdiff.guidance.frame_consistency",
    "GivenAudio": "mmdiff.conditioning.given_audio",
    "GivenVideo": "mmdiff.conditioning.given_video",
    "Inpaint": "mmdiff.conditioning.inpaint",
    "Keyframes": "mmdiff.conditioning.keyframes",
    "MMDiffPipeline": "mmdiff.pipelines.pipeline",
    "MMDiffPipelineOutput": "mmdiff.pipelines.output",
    "ModalityGuidance": "mmdiff.guidance.backbone_guiders",
    "PartialNoise": "mmdiff.conditioning.partial_noise",
    "Projected": "mmdiff.guidance.text_guiders",
    "SkipLayer": "mmdiff.guidance.backbone_guiders",
    "SyncEnergy": "mmdiff.guidance.sync_energy",
    "VideoAutoencoder": "mmdiff.autoencoders.video_autoencoder",
    "Vocoder": "mmdiff.autoencoders.vocoder",
    "load_from_checkpoint": "mmdiff.apps.run_folder",
}

__all__ = [
    "AudioAutoencoder",
    "Autoguidance",
    "CLIPEnergy",
    "ClassifierEnergy",
    "ClassifierFree",
    "ClassifierFreeZeroStar",
    "Clip",
    "ClipLatents",
    "ClipShape",
    "Context",
    "DiffusionTransformer",
    "Extend",
    "FirstFrame",
    "FlickerEnergy",
    "FrameConsistency",
    "GivenAudio",
    "GivenVideo",
    "Inpaint",
    "Keyframes",
    "MMDiffPipeline",
    "MMDiffPipelineOutput",
    "ModalityGuidance",
    "PartialNoise",
    "Projected",
    "SkipLayer",
    "SyncEnergy",
    "VideoAutoencoder",
    "Vocoder",
    "__version__",
    "load_from_checkpoint",
]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
