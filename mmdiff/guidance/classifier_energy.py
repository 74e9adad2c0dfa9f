"""Classifier energy: towards what any classifier of pictures, clips or sounds takes for a class."""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Literal, get_args

import torch
from einops import rearrange, reduce
from torch import Tensor
from torch.nn import functional as F

from mmdiff.guidance.energy import Energy
from mmdiff.guidance.energy_input import EnergyInput
from mmdiff.values.latents import ClipLatents, Modality

Sees = Literal["frames", "clip", "waveform", "log_mel"]


@dataclass(frozen=True)
class ClassifierEnergy(Energy):
    """Cross entropy of the target class: -log p(class | x) (arXiv 2105.05233, section 4.1), of the
    clean estimate, so that a classifier of clean media will do and none of noisy ones is needed.

    classifier: logits b classes of what it sees, differentiable; on the device of the model.
    target: index of the class.
    sees: what it is called with.
        "frames"    pictures b 3 height width in [0, 1], each frame by itself; the mean over frames
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
        if self.target < 0:
            raise ValueError(f"target is {self.target}; it is the index of a class, from 0")
        if self.frames_every < 1:
            raise ValueError(f"frames_every is {self.frames_every}; it must be 1 or more")

    @property
    def modalities(self) -> tuple[Modality, ...]:
        return ("video",) if self.sees in ("frames", "clip") else ("audio",)

    def energy(self, clean: ClipLatents, inputs: EnergyInput) -> Tensor:
        if self.sees in ("frames", "clip"):
            # a picture is read as the screen would show it
            media = ((inputs.frames(clean) + 1) / 2).clamp(0, 1)
        else:
            media = inputs.log_mel(clean)
        if self.sees == "waveform":
            media = inputs.decoder.waveform(media)
        if self.sees != "frames":
            return self._cross_entropy(media)
        pictures = rearrange(media[:, :, :: self.frames_every], "b c f h w -> (b f) c h w")
        each = self._cross_entropy(pictures)
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
