"""GenerationRequest: what one call of the pipeline asks for, and whether it is possible."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mmdiff.guidance.backbone_guiders import SkipLayer
from mmdiff.guidance.energy import Energy
from mmdiff.guidance.guider import MAX_SCALE, Guider
from mmdiff.guidance.named_scales import Guidance, guiders_of
from mmdiff.guidance.text_guiders import TextGuider
from mmdiff.pipelines import checks
from mmdiff.pipelines.duration import warn_if_slow
from mmdiff.pipelines.levels import LEVELS_OF_FLOW, MAX_STEPS, LevelLimits, check_levels
from mmdiff.pipelines.memory import CallSize, check_memory
from mmdiff.text.caption_length import MAX_TEXT_TOKENS
from mmdiff.values.latents import Modality
from mmdiff.values.shapes import LatentGrid

MAX_BATCH = 10_000


@dataclass(frozen=True, kw_only=True)
class GenerationRequest:
    """The arguments of a call, by the same names, after the defaults of the checkpoint went in."""

    prompt: str | list[str] | None
    negative_prompt: str | list[str] | None
    height: int
    width: int
    num_frames: int
    frame_rate: float
    num_inference_steps: int
    modalities: tuple[Modality, ...]
    guidance_scale: float
    guidance_rescale: float
    audio_guidance_scale: float | None  # None: like the picture's
    frame_consistency_scale: float = 0.0
    modality_scale: float = 0.0
    guidance: tuple[Guidance, ...] = ()
    sigmas: list[float] | None = None
    timesteps: list[int] | None = None
    num_videos_per_prompt: int = 1
    generator: checks.Generators = None
    latents: Tensor | None = None
    audio_latents: Tensor | None = None
    prompt_embeds: Tensor | None = None
    prompt_attention_mask: Tensor | None = None
    negative_prompt_embeds: Tensor | None = None
    negative_prompt_attention_mask: Tensor | None = None
    max_sequence_length: int = MAX_TEXT_TOKENS
    output_type: str = "pil"
    callback_on_step_end: Callable[..., Any] | None = None
    callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",)

    @property
    def num_prompts(self) -> int:
        if isinstance(self.prompt, str):
            return 1
        prompts = self.prompt_embeds if self.prompt is None else self.prompt
        return 0 if prompts is None else len(prompts)

    @property
    def batch_size(self) -> int:
        return self.num_prompts * self.num_videos_per_prompt

    @property
    def prompt_of_each_clip(self) -> list[str] | None:
        """None where only embeddings are given."""
        if self.prompt is None:
            return None
        prompts = [self.prompt] if isinstance(self.prompt, str) else self.prompt
        return [prompt for prompt in prompts for _ in range(self.num_videos_per_prompt)]

    @property
    def guiders(self) -> list[Guider | Energy]:
        return guiders_of(
            self.guidance,
            guidance_scale=self.guidance_scale,
            audio_guidance_scale=self.audio_guidance_scale,
            guidance_rescale=self.guidance_rescale,
            frame_consistency_scale=self.frame_consistency_scale,
            modality_scale=self.modality_scale,
        )


@dataclass(frozen=True, kw_only=True)
class ModelLimits:
    """What the parts of a pipeline say about the requests that they can serve.

    text_width        of the embeddings that the transformer reads
    patch             latent pixels along each side of a token
    token_width       of the transformer
    num_blocks        of the transformer; None: not known
    num_weights       of the transformer
    frame_rate        that it was trained at
    callback_tensors  names that a callback may ask for
    levels            of the noise that its schedulers can start from
    """

    text_width: int
    patch: int
    token_width: int
    frame_rate: float
    grid: LatentGrid
    device: torch.device
    callback_tensors: Collection[str]
    num_blocks: int | None = None
    num_weights: int = 0
    levels: LevelLimits = LEVELS_OF_FLOW


def check_request(request: GenerationRequest, limits: ModelLimits) -> None:
    """Refuse what is not possible, before any memory is taken.

    Raises ValueError or TypeError naming the argument, its value, what is legal and the nearest
    good value.
    """
    _check_prompts(request, limits)
    _check_settings(request, limits)
    checks.check_generators(request.generator, batch_size=request.batch_size, device=limits.device)
    checks.check_frame_rate(request.frame_rate, trained=limits.frame_rate)
    _check_latents(request, limits)
    _check_cost(request, limits)


def _check_prompts(request: GenerationRequest, limits: ModelLimits) -> None:
    count = checks.check_text(
        "prompt",
        request.prompt,
        request.prompt_embeds,
        request.prompt_attention_mask,
        width=limits.text_width,
    )
    if request.negative_prompt is None and request.negative_prompt_embeds is None:
        return
    checks.check_text(
        "negative_prompt",
        request.negative_prompt,
        request.negative_prompt_embeds,
        request.negative_prompt_attention_mask,
        width=limits.text_width,
        count=count,
    )


def _check_settings(request: GenerationRequest, limits: ModelLimits) -> None:
    checks.check_integer("max_sequence_length", request.max_sequence_length, 2, MAX_TEXT_TOKENS)
    checks.check_integer("num_videos_per_prompt", request.num_videos_per_prompt, 1, MAX_BATCH)
    checks.check_integer("num_inference_steps", request.num_inference_steps, 1, MAX_STEPS)
    check_levels(request.sigmas, request.timesteps, limits.levels)
    _check_guidance(request, limits)
    checks.check_choice("output_type", request.output_type, checks.OUTPUT_TYPES)
    checks.check_callback(request.callback_on_step_end)
    names = request.callback_on_step_end_tensor_inputs
    checks.check_names("callback_on_step_end_tensor_inputs", names)
    for name in names:
        checks.check_choice("callback_on_step_end_tensor_inputs", name, limits.callback_tensors)


def _check_guidance(request: GenerationRequest, limits: ModelLimits) -> None:
    for name, scale in (
        ("guidance_scale", request.guidance_scale),
        ("audio_guidance_scale", request.audio_guidance_scale),
        ("frame_consistency_scale", request.frame_consistency_scale),
        ("modality_scale", request.modality_scale),
    ):
        if scale is not None:
            checks.check_number(name, scale, 0.0, MAX_SCALE)
    checks.check_number("guidance_rescale", request.guidance_rescale, 0.0, 1.0)
    for guider in request.guidance:
        if isinstance(guider, SkipLayer) and limits.num_blocks is not None:
            for block in guider.blocks:
                checks.check_integer("blocks of SkipLayer", block, 0, limits.num_blocks - 1)


def _check_latents(request: GenerationRequest, limits: ModelLimits) -> None:
    shapes = checks.check_shape(
        limits.grid,
        request.num_frames,
        height=request.height,
        width=request.width,
        patch=limits.patch,
    )
    for name, half, given in (
        ("latents", "video", request.latents),
        ("audio_latents", "audio", request.audio_latents),
    ):
        if given is None:
            continue
        checks.check_tensor(name, given, (request.batch_size, *shapes[half]))
        if half not in request.modalities:
            raise ValueError(
                f"{name} are given, but modalities is {tuple(request.modalities)}: add {half!r}, "
                f"or leave them out"
            )


def _check_cost(request: GenerationRequest, limits: ModelLimits) -> None:
    size = CallSize(
        num_frames=request.num_frames,
        height=request.height,
        width=request.width,
        batch_size=request.batch_size,
        passes=_num_passes(request),
        patch=limits.patch,
        token_width=limits.token_width,
    )
    check_memory(size, limits.grid, limits.device)
    warn_if_slow(
        size,
        limits.grid,
        limits.device,
        num_steps=request.num_inference_steps,
        num_weights=limits.num_weights,
    )


def _num_passes(request: GenerationRequest) -> int:
    """Predictions in one batched call, at most; two at least, since a callback may turn guidance
    on. Text guiders share one."""
    active = [
        guider
        for guider in request.guiders
        if not isinstance(guider, Energy) and any(map(guider.scale_of, request.modalities))
    ]
    texts = [guider for guider in active if isinstance(guider, TextGuider)]
    return max(2, 1 + len(active) - max(0, len(texts) - 1))
