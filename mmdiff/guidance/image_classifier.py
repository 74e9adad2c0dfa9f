"""ImageClassifier: a classifier of pictures from transformers, for `ClassifierEnergy`."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoModelForImageClassification, PreTrainedModel
from transformers.image_processing_base import ImageProcessingMixin
from transformers.image_processing_utils import get_size_dict

from mmdiff.values.file_path import FilePath


@dataclass(frozen=True)
class ImageClassifier:
    """Logits b classes of pictures b 3 height width in [0, 1], differentiable.

    model: a folder, or a repository of the hub, that `AutoModelForImageClassification` loads; size,
        mean and standard deviation of its pictures are those of its image processor.
    """

    model: FilePath

    def __call__(self, pictures: Tensor) -> Tensor:
        classifier, settings = load_classifier(self.model, pictures.device)
        size = get_size_dict(settings["size"])
        edge = size.get("shortest_edge")
        height, width = (size.get(name, edge) for name in ("height", "width"))
        shown = F.interpolate(pictures.float(), (height, width), mode="bicubic", antialias=True)
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
