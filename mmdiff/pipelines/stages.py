"""What a call of the pipeline goes through, each stage of use by itself, as in diffusers."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from mmdiff.loading.finite import finite
from mmdiff.pipelines import checks
from mmdiff.pipelines.call_state import CallState
from mmdiff.pipelines.decode import decode_audio, decode_video
from mmdiff.pipelines.energy_decode import EnergyDecode
from mmdiff.pipelines.levels import level_limits
from mmdiff.pipelines.media_encoder import MediaEncoder
from mmdiff.pipelines.request import GenerationRequest, ModelLimits, check_request
from mmdiff.text.caption_length import MAX_TEXT_TOKENS
from mmdiff.text.encoder import encode_prompts
from mmdiff.values.context import Context
from mmdiff.values.latents import ClipLatents
from mmdiff.values.shapes import ClipShape, LatentGrid


class CallStages(CallState):
    """The stages, mixed into the pipeline, which brings the components."""

    config: Any
    transformer: Any
    vae: Any
    audio_vae: Any
    vocoder: Any
    text_encoder: Any
    tokenizer: Any
    scheduler: Any
    audio_scheduler: Any
    latent_grid: LatentGrid
    _execution_device: torch.device
    _callback_tensor_inputs: ClassVar[list[str]]

    def check_inputs(
        self,
        prompt: str | list[str] | None,
        negative_prompt: str | list[str] | None,
        height: int,
        width: int,
        num_frames: int,
        *,
        frame_rate: float,
        num_inference_steps: int,
        modalities: str | Sequence[str] | None,
        num_videos_per_prompt: int = 1,
        generator: checks.Generators = None,
        latents: Tensor | None = None,
        audio_latents: Tensor | None = None,
        prompt_embeds: Tensor | None = None,
        prompt_attention_mask: Tensor | None = None,
        negative_prompt_embeds: Tensor | None = None,
        negative_prompt_attention_mask: Tensor | None = None,
        output_type: str = "pil",
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
        max_sequence_length: int = MAX_TEXT_TOKENS,
    ) -> int:
        """Refuse what is not possible, before any memory is taken; returns the number of clips.

        Raises ValueError or TypeError naming the argument, its value, what is legal and the
        nearest good value.
        """
        request = GenerationRequest(
            prompt=prompt,
            negative_prompt=negative_prompt,
            height=height,
            width=width,
            num_frames=num_frames,
            frame_rate=frame_rate,
            num_inference_steps=num_inference_steps,
            modalities=checks.legal_modalities(modalities, num_frames=num_frames),
            guidance_scale=self.guidance_scale,
            guidance_rescale=self.guidance_rescale,
            audio_guidance_scale=self._audio_guidance_scale,
            num_videos_per_prompt=num_videos_per_prompt,
            generator=generator,
            latents=latents,
            audio_latents=audio_latents,
            prompt_embeds=prompt_embeds,
            prompt_attention_mask=prompt_attention_mask,
            negative_prompt_embeds=negative_prompt_embeds,
            negative_prompt_attention_mask=negative_prompt_attention_mask,
            output_type=output_type,
            callback_on_step_end_tensor_inputs=callback_on_step_end_tensor_inputs,
            max_sequence_length=max_sequence_length,
        )
        check_request(request, self._limits())
        return request.batch_size

    def _limits(self) -> ModelLimits:
        config = self.transformer.config
        return ModelLimits(
            text_width=config.text_dim,
            patch=config.patch_size,
            token_width=config.num_attention_heads * config.attention_head_dim,
            num_blocks=config.num_layers,
            num_weights=sum(weight.numel() for weight in self.transformer.parameters()),
            frame_rate=self.config.frame_rate,
            grid=self.latent_grid,
            device=self._execution_device,
            callback_tensors=self._callback_tensor_inputs,
            levels=level_limits(
                one for one in (self.scheduler, self.audio_scheduler) if one is not None
            ),
        )

    def encode_prompt(
        self,
        prompt: str | list[str] | None,
        negative_prompt: str | list[str] | None = None,
        do_classifier_free_guidance: bool = True,
        num_videos_per_prompt: int = 1,
        prompt_embeds: Tensor | None = None,
        prompt_attention_mask: Tensor | None = None,
        negative_prompt_embeds: Tensor | None = None,
        negative_prompt_attention_mask: Tensor | None = None,
        max_sequence_length: int = MAX_TEXT_TOKENS,
    ) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        """Text tokens b l d and mask b l of the prompts, then of the negative prompts, which are
        None without guidance.

        Embeddings that are given are taken as they are; `num_videos_per_prompt` repeats each row.
        """
        context = self._context(
            prompt, prompt_embeds, prompt_attention_mask, max_length=max_sequence_length
        )
        tokens, mask = _rows(context, num_videos_per_prompt)
        if not do_classifier_free_guidance:
            return tokens, mask, None, None
        negative = self._context(
            negative_prompt or "",
            negative_prompt_embeds,
            negative_prompt_attention_mask,
            max_length=max_sequence_length,
        )
        if negative.batch_size == 1:
            negative = negative.repeat(context.batch_size)
        return tokens, mask, *_rows(negative, num_videos_per_prompt)

    def _encode(self, request: GenerationRequest) -> tuple[Context, Context | None]:
        tokens, mask, negative_tokens, negative_mask = self.encode_prompt(
            request.prompt,
            request.negative_prompt,
            self.do_classifier_free_guidance,
            request.num_videos_per_prompt,
            request.prompt_embeds,
            request.prompt_attention_mask,
            request.negative_prompt_embeds,
            request.negative_prompt_attention_mask,
            request.max_sequence_length,
        )
        if negative_tokens is None or negative_mask is None:
            return Context(tokens, mask), None
        return Context(tokens, mask), Context(negative_tokens, negative_mask)

    def _context(
        self,
        prompt: str | list[str] | None,
        embeds: Tensor | None,
        mask: Tensor | None,
        *,
        max_length: int,
    ) -> Context:
        if embeds is None:
            prompts = [prompt] if isinstance(prompt, str) else list(prompt or [])
            context = encode_prompts(
                self.tokenizer, self.text_encoder, prompts, max_length=max_length
            )
            finite(context.tokens, "the text encoder")
        else:
            whole = torch.ones(embeds.shape[:2], dtype=torch.bool, device=embeds.device)
            context = Context(embeds, whole if mask is None else mask.bool())
        return context.to(self._execution_device)

    def prepare_latents(
        self,
        batch_size: int,
        num_frames: int,
        height: int,
        width: int,
        generators: Sequence[torch.Generator],
        latents: Tensor | None = None,
    ) -> Tensor:
        """Unit noise b c f h w, fp32, each row by its own generator; or `latents`, if given."""
        shape = self.latent_grid.video_shape(num_frames, height, width)
        return self._noise((batch_size, *shape), generators, given=latents)

    def prepare_audio_latents(
        self,
        batch_size: int,
        num_frames: int,
        generators: Sequence[torch.Generator],
        audio_latents: Tensor | None = None,
    ) -> Tensor:
        """Unit noise b c t m, fp32, each row by its own generator; or `audio_latents`, if given."""
        shape = self.latent_grid.audio_shape(num_frames)
        return self._noise((batch_size, *shape), generators, given=audio_latents)

    def _draw(
        self, request: GenerationRequest, generators: Sequence[torch.Generator]
    ) -> ClipLatents:
        video, audio = None, None
        if "video" in request.modalities:
            video = self.prepare_latents(
                request.batch_size,
                request.num_frames,
                request.height,
                request.width,
                generators,
                request.latents,
            )
        if "audio" in request.modalities:
            audio = self.prepare_audio_latents(
                request.batch_size, request.num_frames, generators, request.audio_latents
            )
        return ClipLatents(video, audio)

    def _media_encoder(self, request: GenerationRequest) -> MediaEncoder:
        grid = self.latent_grid
        return MediaEncoder(
            vae=self.vae,
            audio_vae=self.audio_vae,
            vocoder=self.vocoder,
            grid=grid,
            shape=ClipShape(
                request.num_frames,
                request.height,
                request.width,
                frame_rate=grid.frame_rate,
                sample_rate=grid.sample_rate,
            ),
            device=self._execution_device,
        )

    def _noise(
        self,
        shape: tuple[int, ...],
        generators: Sequence[torch.Generator],
        *,
        given: Tensor | None,
    ) -> Tensor:
        device = self._execution_device
        if given is not None:
            return given.to(device, torch.float32)
        noise: Tensor = randn_tensor(
            shape, generator=list(generators), device=device, dtype=torch.float32
        )
        return noise

    def _energy_decode(self) -> EnergyDecode:
        return EnergyDecode(self.vae, self.audio_vae, self.vocoder, self.latent_grid)

    def decode_latents(self, latents: ClipLatents, num_frames: int) -> ClipLatents:
        """Media of clean latents, on the CPU: frames b 3 frames height width and sound
        b 1 samples, both in [-1, 1]."""
        grid, video, audio = self.latent_grid, None, None
        if latents.video is not None:
            video = decode_video(self.vae, latents.video, grid=grid)
        if latents.audio is not None:
            shape = ClipShape(
                num_frames=num_frames, frame_rate=grid.frame_rate, sample_rate=grid.sample_rate
            )
            audio = decode_audio(
                self.audio_vae,
                self.vocoder,
                latents.audio,
                grid=grid,
                num_samples=shape.num_samples,
            )
        return ClipLatents(video, audio).to("cpu")


def _rows(context: Context, count: int) -> tuple[Tensor, Tensor]:
    """Tokens and mask with each row `count` times."""
    repeated = context.repeat_interleave(count)
    return repeated.tokens, repeated.mask
