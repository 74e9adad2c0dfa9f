"""CLIP energy: towards frames that CLIP finds to fit the text."""

from dataclasses import KW_ONLY, dataclass
from functools import lru_cache

import torch
from einops import rearrange, repeat
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoTokenizer, CLIPModel, PreTrainedTokenizerBase
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from mmdiff.guidance.energy import Energy, EnergyInput
from mmdiff.values.checks import check_sizes
from mmdiff.values.file_path import FilePath
from mmdiff.values.latents import ClipLatents


@dataclass(frozen=True)
class CLIPEnergy(Energy):
    """1 - cosine of text and frame in the space of CLIP (arXiv 2103.00020), the mean over frames;
    as a guide of generation: arXiv 2112.10741.

    model: a folder, or a repository of the hub, with a `CLIPModel` and its tokenizer.
    prompt: None takes the prompt of each clip.
    num_frames: how many frames, evenly spread over the clip, are looked at.
    """

    scale: float = 0.2
    _: KW_ONLY
    model: FilePath = "openai/clip-vit-base-patch32"
    prompt: str | None = None
    num_frames: int = 4

    modalities = ("video",)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sizes(num_frames=self.num_frames)

    def energy(self, clean: ClipLatents, inputs: EnergyInput) -> Tensor:
        frames = inputs.frames(clean)
        clip, tokenizer = load_clip(self.model, frames.device)
        texts = text_embeddings(clip, tokenizer, self._prompts(inputs, len(frames)))
        last = frames.shape[2] - 1
        count = min(self.num_frames, frames.shape[2])
        chosen = torch.linspace(0, last, count, device=frames.device).round().long()
        images = image_embeddings(clip, rearrange(frames[:, :, chosen], "b c f h w -> (b f) c h w"))
        of_frames = rearrange(images, "(b f) d -> b f d", f=count)
        return 1 - (of_frames * texts[:, None].to(of_frames)).sum(-1).mean(1)

    def _prompts(self, inputs: EnergyInput, batch_size: int) -> list[str]:
        if self.prompt is not None:
            return [self.prompt] * batch_size
        if inputs.prompts is None or len(inputs.prompts) != batch_size:
            got = "none" if inputs.prompts is None else f"{len(inputs.prompts)}"
            raise ValueError(
                f"CLIP needs a prompt for each of {batch_size} clips and there are {got}; name "
                "`prompt` in the call (embeddings have no words), or CLIPEnergy(prompt=...)"
            )
        return list(inputs.prompts)


@lru_cache(maxsize=1)
def load_clip(model: str, device: torch.device) -> tuple[CLIPModel, PreTrainedTokenizerBase]:
    """The frozen model, fp32, and its tokenizer; the last one loaded is kept."""
    clip = CLIPModel.from_pretrained(model, use_safetensors=True, dtype=torch.float32)
    return clip.to(device).eval().requires_grad_(False), AutoTokenizer.from_pretrained(model)


def text_embeddings(
    clip: CLIPModel, tokenizer: PreTrainedTokenizerBase, prompts: list[str]
) -> Tensor:
    """Unit vectors b d of the prompts; what is too long for CLIP is cut off."""
    length = clip.config.text_config.max_position_embeddings
    tokens = tokenizer(
        prompts, padding=True, truncation=True, max_length=length, return_tensors="pt"
    ).to(clip.device)
    with torch.no_grad():
        texts = clip.text_model(**tokens).pooler_output
        return F.normalize(clip.text_projection(texts), dim=-1)


def image_embeddings(clip: CLIPModel, images: Tensor) -> Tensor:
    """Unit vectors n d of images n 3 height width in [-1, 1], resized to the square that CLIP
    was trained on; differentiable."""
    size = clip.config.vision_config.image_size
    shown = F.interpolate(
        ((images + 1) / 2).clamp(0, 1), (size, size), mode="bicubic", antialias=True
    )
    mean, deviation = (
        repeat(shown.new_tensor(values), "c -> c 1 1")
        for values in (OPENAI_CLIP_MEAN, OPENAI_CLIP_STD)
    )
    pixels = ((shown - mean) / deviation).to(clip.dtype)
    seen = clip.vision_model(pixel_values=pixels).pooler_output
    return F.normalize(clip.visual_projection(seen), dim=-1)
