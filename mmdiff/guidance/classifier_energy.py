"""Classifier energy: towards what any classifier of images, clips or sounds takes for a class."""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from functools import lru_cache
from typing import Any, Literal, get_args

import torch
from einops import rearrange, reduce
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoModelForImageClassification, PreTrainedModel
from transformers.image_processing_base import ImageProcessingMixin
from transformers.image_processing_utils import get_size_dict

from mmdiff.guidance.energy import Energy, EnergyInput
from mmdiff.values.checks import check_sizes
from mmdiff.values.file_path import FilePath
from mmdiff.values.latents import ClipLatents, Modality

Sees = Literal["frames", "clip", "waveform", "log_mel"]


@dataclass(frozen=True)
class ClassifierEnergy(Energy):
    """Cross entropy of the target class: -log p(class | x) (arXiv 2105.05233, section 4.1), of the
    clean estimate, so that a classifier of clean media will do and none of noisy ones is needed.

    classifier: logits b classes of what it sees, differentiable; on the device of the model.
    target: index of the class.
    sees: what it is called with.
        "frames"    images b 3 height width in [0, 1], each frame by itself; the mean over frames
        "clip"      b 3 frames height width in [0, 1]
        "waveform"  b samples in [-1, 1], at the sample rate of the vocoder
        "log_mel"   b 1 mel_frames mel_bins, 1 is loud and -1 silence
    frames_every: of "frames", only every so many are looked at.
    """

    scale: float = 0.2
    _: KW_ONLY
    classifier: Callable[[Tensor], Tensor]
    target: int
    sees: Sees = "frames"
    frames_every: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if not callable(self.classifier):
            raise TypeError(
                f"classifier is a {type(self.classifier).__name__}; it must be callable, such as a "
                "torch module that gives logits"
            )
        if self.sees not in get_args(Sees):
            known = ", ".join(map(repr, get_args(Sees)))
            raise ValueError(f"sees is {self.sees!r}; possible are {known}")
        check_sizes(least=0, target=self.target)
        check_sizes(frames_every=self.frames_every)

    @property
    def modalities(self) -> tuple[Modality, ...]:
        return ("video",) if self.sees in ("frames", "clip") else ("audio",)

    def energy(self, clean: ClipLatents, inputs: EnergyInput) -> Tensor:
        if self.sees in ("frames", "clip"):
            # a frame is read as the screen would show it
            media = ((inputs.frames(clean) + 1) / 2).clamp(0, 1)
        else:
            media = inputs.log_mel(clean)
        if self.sees == "waveform":
            media = inputs.decoder.waveform(media)
        if self.sees != "frames":
            return self._cross_entropy(media)
        images = rearrange(media[:, :, :: self.frames_every], "b c f h w -> (b f) c h w")
        each = self._cross_entropy(images)
        return reduce(each, "(b f) -> b", torch.mean, b=clean.batch_size)

    def _cross_entropy(self, media: Tensor) -> Tensor:
        logits = self.classifier(media)
        if logits.ndim != 2 or len(logits) != len(media) or self.target >= logits.shape[1]:
            raise ValueError(
                f"the classifier gives logits of shape {tuple(logits.shape)} for {len(media)} "
                f"inputs and target {self.target}; they must be b classes, with more classes than "
                "the index of the target"
            )
        target = torch.full((len(media),), self.target, device=logits.device)
        return F.cross_entropy(logits, target, reduction="none")


@dataclass(frozen=True)
class ImageClassifier:
    """A classifier of transformers: logits b classes of images b 3 height width in [0, 1].

    model: a folder, or a repository of the hub, that `AutoModelForImageClassification` loads; size,
        mean and standard deviation of its images are those of its image processor.
    """

    model: FilePath

    def __call__(self, images: Tensor) -> Tensor:
        classifier, settings = load_classifier(self.model, images.device)
        size = get_size_dict(settings["size"])
        edge = size.get("shortest_edge")
        height, width = (size.get(name, edge) for name in ("height", "width"))
        shown = F.interpolate(images.float(), (height, width), mode="bicubic", antialias=True)
        mean = shown.new_tensor(settings["image_mean"])[:, None, None]
        deviation = shown.new_tensor(settings["image_std"])[:, None, None]
        logits: Tensor = classifier(pixel_values=(shown - mean) / deviation).logits
        return logits


@lru_cache(maxsize=1)
def load_classifier(model: str, device: torch.device) -> tuple[PreTrainedModel, dict[str, Any]]:
    """The frozen classifier, fp32, and the settings of its image processor; the last one is kept.

    No processor is made of the settings: for that, transformers 5.17 wants torchvision.
    """
    classifier = AutoModelForImageClassification.from_pretrained(
        model, use_safetensors=True, dtype=torch.float32
    )
    frozen = classifier.to(device).eval().requires_grad_(False)
    settings, _ = ImageProcessingMixin.get_image_processor_dict(model)
    return frozen, settings
