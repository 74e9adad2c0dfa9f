"""MMDiffPipeline: from a prompt to clips with sound, as a diffusers pipeline."""

from collections.abc import Sequence
from operator import attrgetter
from os import PathLike
from typing import Any, ClassVar, Self

import torch
from diffusers.callbacks import MultiPipelineCallbacks, PipelineCallback
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from diffusers.utils.torch_utils import randn_tensor
from diffusers.video_processor import VideoProcessor
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mmdiff.autoencoders.audio_autoencoder import AudioAutoencoder
from mmdiff.autoencoders.video_autoencoder import VideoAutoencoder
from mmdiff.autoencoders.vocoder import Vocoder
from mmdiff.backbone.transformer import DiffusionTransformer
from mmdiff.diffusion.denoiser import Denoiser
from mmdiff.diffusion.noise_schedule import named_noise_schedule
from mmdiff.diffusion.parameterization import check_parameterization
from mmdiff.diffusion.sampler import Sampler
from mmdiff.diffusion.scheduler import MatchedScheduler
from mmdiff.guidance.backbone_guiders import SkipLayer
from mmdiff.guidance.energy import Energy
from mmdiff.guidance.guided_denoiser import GuidedDenoiser
from mmdiff.guidance.guider import MAX_SCALE, Guider
from mmdiff.guidance.named_scales import NAMED_SCALES, Guidance, checked_guidance, guiders_of
from mmdiff.guidance.text_guiders import TextGuider
from mmdiff.loading.finite import finite
from mmdiff.loading.module_memory import align_weights
from mmdiff.loading.pipeline import prepare_loading
from mmdiff.loading.settings import refused_faults
from mmdiff.pipelines import checks
from mmdiff.pipelines.codec import EnergyDecode, MediaEncoder, decode_audio, decode_video, grid_of
from mmdiff.pipelines.conditions import (
    Conditions,
    Rows,
    check_extension,
    condition_lists,
    conditioned,
    extended_modalities,
    extends_in,
    frames_at_a_time,
    restored,
    rows_of,
)
from mmdiff.pipelines.cost import CallSize, check_cost
from mmdiff.pipelines.extension import extended
from mmdiff.pipelines.levels import MAX_STEPS, check_levels
from mmdiff.pipelines.output import MMDiffPipelineOutput, clips_of
from mmdiff.pipelines.step_callback import TENSORS, StepCallback, StepEnd
from mmdiff.text.encoder import encode_prompts
from mmdiff.text.tokenizer import MAX_TEXT_TOKENS
from mmdiff.values.checks import check_integer, check_number
from mmdiff.values.context import Context
from mmdiff.values.latent_state import LatentState
from mmdiff.values.latents import MODALITIES, ClipLatents, Modality
from mmdiff.values.shapes import ClipShape

MAX_BATCH = 10_000


class MMDiffPipeline(DiffusionPipeline):
    """Text to clips: video and audio are sampled together by one transformer, then decoded.

    Any diffusers scheduler can be assigned to `scheduler` (and, for a schedule of its own for the
    audio, to `audio_scheduler`); it is matched to the checkpoint by signal-to-noise ratio.

    Args:
        noise_schedule, parameterization: what the transformer was trained for.
        frame_rate: frames per second that it was trained at.
        default_*: what a call uses where it names nothing else.

    What a call takes, beside what diffusers' pipelines take (see `__call__`):
        num_frames: 1 + 4k; 1 makes a still image, which has no audio unless `modalities` asks for
            it. Where it is left out, it follows what `conditions` give.
        sigmas, timesteps: own levels, for schedulers that take them; one of the two, falling. The
            clean level at the end comes by itself (but in sigmas of EulerDiscrete).
        guidance_scale, audio_guidance_scale, guidance_rescale: classifier-free guidance of the
            video and of the audio (None: like the video); 1 turns it off.
        generator: one for each clip makes clip i the same alone and in any batch; a single one is
            drawn from for one clip after the other; None takes seeds from torch's global one.
        latents, audio_latents: unit noise to start from, in fp32, fp16 or bf16 (all are exact in
            fp32, in which the loop runs).
        output_type: of `frames`: "pil", "np" or "pt"; "latent" leaves out decoding.
        callback_on_step_end: called as (pipeline, index, timestep, tensors) after each step; may
            return tensors to go on with, and set `pipeline._interrupt = True` to stop, or
            `_guidance_scale` and its like, which count from the next step on.
        max_sequence_length: tokens of a prompt that are read, at most; the tokenizer's own
            `model_max_length` is the length that the model was trained with.
        modalities: "video", "audio" or both.
        guidance: guiders and energies, one or any number of them, such as
            `mmdiff.SkipLayer(blocks=(2,))`; a text guider takes the place of the scales above.
        frame_consistency_scale, modality_scale: add `mmdiff.FrameConsistency` and
            `mmdiff.ModalityGuidance`; 0 is off.
        conditions: what is given of the clips, such as `mmdiff.FirstFrame(image)`; one list for all
            of them, or a list of lists, one for each.
    """

    model_cpu_offload_seq = "text_encoder->transformer->vae->audio_vae->vocoder"
    _optional_components: ClassVar[list[str]] = ["audio_scheduler"]
    _callback_tensor_inputs: ClassVar[list[str]] = list(TENSORS)
    # of the call it is in; the scales are None until its defaults are known
    _guidance_scale: Any
    _guidance_rescale: Any
    _audio_guidance_scale: Any
    _frame_consistency_scale: Any
    _modality_scale: Any
    _guidance: tuple[Guidance, ...]
    _current_timestep: Any

    def __init__(
        self,
        transformer: DiffusionTransformer,
        vae: VideoAutoencoder,
        audio_vae: AudioAutoencoder,
        vocoder: Vocoder,
        text_encoder: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        scheduler: SchedulerMixin,
        audio_scheduler: SchedulerMixin | None = None,
        noise_schedule: str = "flow",
        parameterization: str = "velocity",
        frame_rate: float = 16.0,
        default_num_frames: int = 33,
        default_height: int = 64,
        default_width: int = 64,
        default_num_inference_steps: int = 30,
        default_guidance_scale: float = 4.0,
        default_audio_guidance_scale: float | None = None,
        default_guidance_rescale: float = 0.0,
        default_frame_consistency_scale: float = 0.0,
        default_modality_scale: float = 0.0,
    ) -> None:
        super().__init__()
        check_parameterization(parameterization)
        self.register_modules(
            transformer=transformer,
            vae=vae,
            audio_vae=audio_vae,
            vocoder=vocoder,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            scheduler=scheduler,
            audio_scheduler=audio_scheduler,
        )
        for component in self.components.values():
            if isinstance(component, torch.nn.Module):
                align_weights(component)
        self.register_to_config(
            noise_schedule=noise_schedule,
            parameterization=parameterization,
            frame_rate=frame_rate,
            default_num_frames=default_num_frames,
            default_height=default_height,
            default_width=default_width,
            default_num_inference_steps=default_num_inference_steps,
            default_guidance_scale=default_guidance_scale,
            default_audio_guidance_scale=default_audio_guidance_scale,
            default_guidance_rescale=default_guidance_rescale,
            default_frame_consistency_scale=default_frame_consistency_scale,
            default_modality_scale=default_modality_scale,
        )
        grid = grid_of(vae, audio_vae, vocoder, frame_rate=frame_rate)
        self.latent_grid = grid
        self.vae_scale_factor_temporal = grid.time_compression
        self.vae_scale_factor_spatial = grid.space_compression
        self.audio_sampling_rate = grid.sample_rate
        self.video_processor = VideoProcessor(vae_scale_factor=grid.space_compression)
        self._num_timesteps = 0
        for name in NAMED_SCALES:
            setattr(self, f"_{name}", None)
        self._begin_call(None, None)  # so that what a call sets can be asked before any

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | PathLike[str] | None = None, **kwargs: Any
    ) -> Self:
        """Load the bundled model, a folder, or a repository of the hub; keywords as in diffusers.

        Weights are held in fp32 unless `dtype` (or `torch_dtype`) says otherwise. What diffusers
        would load in silence is refused: missing, unexpected or non-finite weights, unknown config
        keys, pickles. `strict=False` leaves these checks out.

        Raises CheckpointError, which names the file and a hint.
        """
        folder, keywords = prepare_loading(cls, pretrained_model_name_or_path, keywords=kwargs)
        with refused_faults(folder, cls.__name__):
            return super().from_pretrained(str(folder), **keywords)

    def save_pretrained(self, *args: Any, **kwargs: Any) -> None:
        """As in diffusers."""
        # one that was assigned after loading is still recorded as missing, and would not be saved
        self.register_modules(audio_scheduler=self.audio_scheduler)
        super().save_pretrained(*args, **kwargs)

    def check_inputs(
        self,
        prompt: str | list[str] | None,
        negative_prompt: str | list[str] | None,
        height: int,
        width: int,
        num_frames: int,
        frame_rate: float | None,
        num_inference_steps: int,
        num_videos_per_prompt: int = 1,
        prompt_embeds: Tensor | None = None,
        prompt_attention_mask: Tensor | None = None,
        negative_prompt_embeds: Tensor | None = None,
        negative_prompt_attention_mask: Tensor | None = None,
        max_sequence_length: int = MAX_TEXT_TOKENS,
    ) -> int:
        """Refuse what is not possible, before any memory is taken; returns the number of clips.

        Raises ValueError or TypeError naming the argument, its value, what is legal and the
        nearest good value.
        """
        config, grid = self.transformer.config, self.latent_grid
        count = checks.check_text(
            "prompt", prompt, prompt_embeds, prompt_attention_mask, width=config.text_dim
        )
        if negative_prompt is not None or negative_prompt_embeds is not None:
            checks.check_text(
                "negative_prompt",
                negative_prompt,
                negative_prompt_embeds,
                negative_prompt_attention_mask,
                width=config.text_dim,
                count=count,
            )
        for name, value, lowest, highest in (
            ("max_sequence_length", max_sequence_length, 2, MAX_TEXT_TOKENS),
            ("num_videos_per_prompt", num_videos_per_prompt, 1, MAX_BATCH),
            ("num_inference_steps", num_inference_steps, 1, MAX_STEPS),
        ):
            check_integer(name, value, lowest=lowest, highest=highest)
        checks.check_shape(
            grid,
            num_frames,
            height=height,
            width=width,
            frame_rate=frame_rate,
            patch=config.patch_size,
        )
        passes = 1 + sum(not isinstance(one, Energy) for one in self._guiders())
        size = CallSize(
            num_frames=num_frames,
            height=height,
            width=width,
            batch_size=count * num_videos_per_prompt,
            num_steps=num_inference_steps,
            passes=max(2, passes),  # a callback may turn guidance on
            patch=config.patch_size,
            token_width=config.num_attention_heads * config.attention_head_dim,
            num_weights=sum(weight.numel() for weight in self.transformer.parameters()),
            grid=grid,
        )
        check_cost(size, self._execution_device)
        return size.batch_size

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

        def encode(text: Any, embeds: Tensor | None, mask: Tensor | None) -> Context:
            if embeds is None:
                prompts = [text] if isinstance(text, str) else list(text or [])
                context = encode_prompts(
                    self.tokenizer, self.text_encoder, prompts, max_length=max_sequence_length
                )
                finite(context.tokens, "the text encoder")
            else:
                whole = torch.ones(embeds.shape[:2], dtype=torch.bool, device=embeds.device)
                context = Context(embeds, whole if mask is None else mask.bool())
            return context.to(self._execution_device)

        context = encode(prompt, prompt_embeds, prompt_attention_mask)
        count, each = len(context.tokens), num_videos_per_prompt
        context = context.repeat_interleave(each)
        if not do_classifier_free_guidance:
            return context.tokens, context.mask, None, None
        negative = encode(
            negative_prompt or "", negative_prompt_embeds, negative_prompt_attention_mask
        )
        negative = negative.repeat_interleave(each * count // len(negative.tokens))
        return context.tokens, context.mask, negative.tokens, negative.mask

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
        shape = (batch_size, *self.latent_grid.video_shape(num_frames, height, width))
        if latents is None:
            device, dtype = self._execution_device, torch.float32
            noise: Tensor = randn_tensor(shape, list(generators), device, dtype)
            return noise
        checks.check_tensor("latents", latents, shape)
        return latents.to(self._execution_device, torch.float32)

    def prepare_audio_latents(
        self,
        batch_size: int,
        num_frames: int,
        generators: Sequence[torch.Generator],
        audio_latents: Tensor | None = None,
    ) -> Tensor:
        """Unit noise b c t m, fp32, each row by its own generator; or `audio_latents`, if given."""
        shape = (batch_size, *self.latent_grid.audio_shape(num_frames))
        if audio_latents is None:
            device, dtype = self._execution_device, torch.float32
            noise: Tensor = randn_tensor(shape, list(generators), device, dtype)
            return noise
        checks.check_tensor("audio_latents", audio_latents, shape)
        return audio_latents.to(self._execution_device, torch.float32)

    def decode_latents(self, latents: ClipLatents, num_frames: int) -> ClipLatents:
        """Media of clean latents, on the CPU: frames b 3 frames height width and waveforms
        b 1 samples, both in [-1, 1]."""
        grid, video, audio = self.latent_grid, None, None
        if latents.video is not None:
            video = decode_video(self.vae, latents.video, grid=grid)
        if latents.audio is not None:
            num_samples = round(num_frames / grid.frame_rate * grid.sample_rate)
            audio = decode_audio(
                self.audio_vae, self.vocoder, latents.audio, grid=grid, num_samples=num_samples
            )
        return ClipLatents(video, audio).to("cpu")

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | list[str] | None = None,
        negative_prompt: str | list[str] | None = None,
        height: int | None = None,
        width: int | None = None,
        num_frames: int | None = None,
        frame_rate: float | None = None,
        num_inference_steps: int | None = None,
        sigmas: list[float] | None = None,
        timesteps: list[int] | None = None,
        guidance_scale: float | None = None,
        guidance_rescale: float | None = None,
        audio_guidance_scale: float | None = None,
        num_videos_per_prompt: int = 1,
        generator: checks.Generators = None,
        latents: Tensor | None = None,
        audio_latents: Tensor | None = None,
        prompt_embeds: Tensor | None = None,
        prompt_attention_mask: Tensor | None = None,
        negative_prompt_embeds: Tensor | None = None,
        negative_prompt_attention_mask: Tensor | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
        attention_kwargs: dict[str, Any] | None = None,
        callback_on_step_end: StepEnd | PipelineCallback | MultiPipelineCallbacks | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
        max_sequence_length: int = MAX_TEXT_TOKENS,
        modalities: str | Sequence[str] | None = None,
        guidance: Guidance | Sequence[Guidance] | None = None,
        frame_consistency_scale: float | None = None,
        modality_scale: float | None = None,
        conditions: Conditions | None = None,
    ) -> MMDiffPipelineOutput | tuple[Any, Tensor | None]:
        """Make clips; the class says what the arguments mean. Gives an MMDiffPipelineOutput, or
        (frames, audio). Errors name the argument, its value, what is legal and the nearest."""
        lists = [] if conditions is None else condition_lists(conditions)
        if lists:
            default, grid = self.config.default_num_frames, self.latent_grid
            num_frames = frames_at_a_time(lists, num_frames, default, grid)
        num_frames = self._or_default("num_frames", num_frames)
        height, width = self._or_default("height", height), self._or_default("width", width)
        num_steps = self._or_default("num_inference_steps", num_inference_steps)
        self._guidance_scale, self._guidance_rescale = guidance_scale, guidance_rescale
        self._audio_guidance_scale, self._modality_scale = audio_guidance_scale, modality_scale
        self._frame_consistency_scale = frame_consistency_scale
        self._begin_call(guidance, attention_kwargs)
        texts: dict[str, Any] = {
            "num_videos_per_prompt": num_videos_per_prompt,
            "prompt_embeds": prompt_embeds,
            "prompt_attention_mask": prompt_attention_mask,
            "negative_prompt_embeds": negative_prompt_embeds,
            "negative_prompt_attention_mask": negative_prompt_attention_mask,
            "max_sequence_length": max_sequence_length,
        }
        batch_size = self.check_inputs(
            prompt, negative_prompt, height, width, num_frames, frame_rate, num_steps, **texts
        )
        made = checks.legal_modalities(modalities, num_frames)
        if lists and extends_in(lists):
            check_extension(output_type, latents, audio_latents)
            made = extended_modalities(lists, modalities, self.latent_grid)
        checks.check_choice("output_type", output_type, checks.OUTPUT_TYPES)
        if sigmas is not None or timesteps is not None:
            check_levels(sigmas, timesteps, [self.scheduler, self.audio_scheduler])
        step_end = None
        if callback_on_step_end is not None:
            step_end = StepCallback(callback_on_step_end, callback_on_step_end_tensor_inputs)
        rows = rows_of(lists, batch_size) if lists else []
        generators = checks.generator_of_each(generator, batch_size, self._execution_device)
        encode = self._media_encoder(num_frames, height, width)
        try:
            embeds = self.encode_prompt(
                prompt, negative_prompt, self.do_classifier_free_guidance, **texts
            )

            def make(rows: Rows) -> ClipLatents:
                """One window of the clips: media, or latents where those are asked for."""
                noise = self._noise(encode.shape, made, generators, latents, audio_latents)
                state = conditioned(noise, rows, encode) if any(rows) else LatentState(noise)
                levels = num_steps, sigmas, timesteps
                clean = self._denoise(state, generators, embeds, prompt, levels, step_end)
                if output_type == "latent":
                    return clean
                return restored(self.decode_latents(clean, num_frames), rows, encode)

            media = extended(rows, make, encode, made) if rows and extends_in(rows) else make(rows)
        finally:  # what a call that ends early left in caches must not reach the next
            self.maybe_free_model_hooks()
        return self._output(media, output_type, return_dict)

    def _or_default(self, name: str, value: Any) -> Any:
        return self.config[f"default_{name}"] if value is None else value

    def _begin_call(self, guidance: Any, attention_kwargs: dict[str, Any] | None) -> None:
        """Check what guides this call, and set what was left out to the defaults."""
        if attention_kwargs:
            raise ValueError(
                f"attention_kwargs is {attention_kwargs}; this transformer takes none: leave it out"
            )
        named = {name: getattr(self, f"_{name}") for name in NAMED_SCALES}
        self._guidance = () if guidance is None else checked_guidance(guidance, named)
        for name, asked in named.items():
            scale = self._or_default(name, asked)
            if scale is not None:  # that of the audio is like the video's
                highest = 1 if name == "guidance_rescale" else MAX_SCALE
                check_number(name, scale, lowest=0, highest=highest)
            setattr(self, f"_{name}", scale)
        for one in self._guidance:
            if isinstance(one, SkipLayer):
                last = self.transformer.config.num_layers - 1
                for block in one.blocks:
                    check_integer("blocks of SkipLayer", block, lowest=0, highest=last)
        self._attention_kwargs = attention_kwargs
        self._current_timestep, self._interrupt = None, False

    def _guiders(self) -> list[Guider | Energy]:
        return guiders_of(
            self._guidance,
            guidance_scale=self._guidance_scale,
            audio_guidance_scale=self._audio_guidance_scale,
            guidance_rescale=self._guidance_rescale,
            frame_consistency_scale=self._frame_consistency_scale,
            modality_scale=self._modality_scale,
        )

    def _media_encoder(self, num_frames: int, height: int, width: int) -> MediaEncoder:
        grid = self.latent_grid
        return MediaEncoder(
            vae=self.vae,
            audio_vae=self.audio_vae,
            vocoder=self.vocoder,
            grid=grid,
            shape=ClipShape(num_frames, height, width, grid.frame_rate, grid.sample_rate),
            device=self._execution_device,
        )

    def _noise(
        self,
        shape: ClipShape,
        modalities: Sequence[Modality],
        generators: Sequence[torch.Generator],
        latents: Tensor | None,
        audio_latents: Tensor | None,
    ) -> ClipLatents:
        """Unit noise for what is made."""
        for name, modality, given in (
            ("latents", "video", latents),
            ("audio_latents", "audio", audio_latents),
        ):
            if given is not None and modality not in modalities:
                raise ValueError(
                    f"{name} are given, but modalities is {tuple(modalities)}: add {modality!r}, "
                    f"or leave them out"
                )
        size = len(generators), shape.num_frames
        video = audio = None
        if "video" in modalities:
            video = self.prepare_latents(*size, shape.height, shape.width, generators, latents)
        if "audio" in modalities:
            audio = self.prepare_audio_latents(*size, generators, audio_latents)
        return ClipLatents(video, audio)

    def _denoise(
        self,
        state: LatentState,
        generators: Sequence[torch.Generator],
        embeds: Sequence[Tensor | None],
        prompt: str | list[str] | None,
        levels: tuple[int, Any, Any],
        step_end: StepCallback | None,
    ) -> ClipLatents:
        """Clean latents of unit variance, fp32.

        state   unit noise, and what is given
        embeds  as `encode_prompt` gives them
        levels  num_inference_steps, sigmas, timesteps
        """
        noise_schedule = named_noise_schedule(self.config.noise_schedule)
        own = {"video": self.scheduler, "audio": self.audio_scheduler or self.scheduler}
        schedulers = {
            name: MatchedScheduler(own[name], noise_schedule) for name, _ in state.latents.items()
        }
        num_inference_steps, sigmas, timesteps = levels
        for one in schedulers.values():
            one.set_timesteps(num_inference_steps, sigmas=sigmas, timesteps=timesteps)
        tokens, mask, negative_tokens, negative_mask = embeds
        assert tokens is not None and mask is not None
        negative = None
        if negative_tokens is not None and negative_mask is not None:
            negative = Context(negative_tokens, negative_mask)
        prompts = [prompt] if isinstance(prompt, str) else list(prompt or [])
        denoiser = GuidedDenoiser(
            Denoiser(self.transformer, noise_schedule, self.config.parameterization),
            Context(tokens, mask),
            negative_context=negative,
            guiders=self._guiders(),
            noise_schedule=noise_schedule,
            decode=EnergyDecode(self.vae, self.audio_vae, self.vocoder, self.latent_grid),
            prompts=[one for one in prompts for _ in range(len(tokens) // len(prompts))] or None,
        )
        sampler = Sampler(schedulers, state)
        state, times = sampler.start, list(one.scheduler.timesteps)
        self._num_timesteps, self._current_timestep = sampler.calls.stop, times[0]
        with self.progress_bar(total=self._num_timesteps) as progress_bar:
            for index in sampler.calls:
                if self._interrupt:
                    break
                clean = denoiser(state.latents, sampler.time(index, state))
                state = sampler.step(index, state, clean, generators)
                if step_end is not None:
                    state = step_end(self, index, state, denoiser)
                    denoiser.guiders = tuple(self._guiders())
                self._current_timestep = times[min(index + 1, len(times) - 1)]
                progress_bar.update()
        self._current_timestep = None
        return state.latents

    def _output(self, media: ClipLatents, output_type: str, return_dict: bool) -> Any:
        frames, clips = media.video, []
        if output_type != "latent":
            clips = clips_of(media, self.latent_grid)
            if frames is not None:
                frames = self.video_processor.postprocess_video(frames, output_type)
        if return_dict:
            return MMDiffPipelineOutput(frames, media.audio, clips)
        return frames, media.audio

    # what diffusers' users, and their callbacks, ask a pipeline about the call it is in
    guidance_scale = property(attrgetter("_guidance_scale"))
    guidance_rescale = property(attrgetter("_guidance_rescale"))
    frame_consistency_scale = property(attrgetter("_frame_consistency_scale"))
    modality_scale = property(attrgetter("_modality_scale"))
    num_timesteps = property(attrgetter("_num_timesteps"))
    current_timestep = property(attrgetter("_current_timestep"))
    attention_kwargs = property(attrgetter("_attention_kwargs"))
    interrupt = property(attrgetter("_interrupt"))

    @property
    def audio_guidance_scale(self) -> float:
        own: float | None = self._audio_guidance_scale
        return self.guidance_scale if own is None else own

    @property
    def do_classifier_free_guidance(self) -> bool:
        """Whether a negative prompt has any say: by a text guider at a scale but 1."""
        return any(
            isinstance(guider, TextGuider) and any(map(guider.scale_of, MODALITIES))
            for guider in self._guiders()
        )
