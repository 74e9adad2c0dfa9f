"""MMDiffPipeline: from a prompt to clips with sound, as a diffusers pipeline."""

import sys
from collections.abc import Sequence
from os import PathLike
from typing import Any, ClassVar, Self

import torch
from diffusers.callbacks import MultiPipelineCallbacks, PipelineCallback
from diffusers.models.modeling_utils import ModelMixin
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from diffusers.utils.torch_utils import randn_tensor
from diffusers.video_processor import VideoProcessor
from torch import Tensor
from transformers import PreTrainedTokenizerBase, T5EncoderModel

from mmdiff.autoencoders.audio_autoencoder import AudioAutoencoder
from mmdiff.autoencoders.video_autoencoder import VideoAutoencoder
from mmdiff.autoencoders.vocoder import Vocoder
from mmdiff.backbone.transformer import DiffusionTransformer
from mmdiff.diffusion.noise_schedule import named_noise_schedule
from mmdiff.guidance.classifier_free import ClassifierFree
from mmdiff.guidance.guided_denoiser import GuidedDenoiser
from mmdiff.guidance.guider import Guider
from mmdiff.pipelines import checks
from mmdiff.pipelines.decode import decode_audio, decode_video
from mmdiff.pipelines.folder import pipeline_folder
from mmdiff.pipelines.generators import one_generator_each
from mmdiff.pipelines.grid import grid_of
from mmdiff.pipelines.memory import CallSize, check_memory
from mmdiff.pipelines.output import MMDiffPipelineOutput, clips_of
from mmdiff.pipelines.sample_latents import matched_schedulers, sample_latents
from mmdiff.pipelines.step_callback import StepEnd, apply_callback
from mmdiff.pipelines.strict_load import check_checkpoint
from mmdiff.text.encoder import encode_prompts
from mmdiff.values.context import Context
from mmdiff.values.latent_state import LatentState
from mmdiff.values.latents import ClipLatents, Modality
from mmdiff.values.shapes import ClipShape

MAX_STEPS = 1000
MAX_GUIDANCE_SCALE = 100.0
MAX_BATCH = 10_000
MAX_TEXT_TOKENS = 4096
HUB_KEYWORDS = ("revision", "cache_dir", "token", "local_files_only")

for component in (DiffusionTransformer, VideoAutoencoder, AudioAutoencoder, Vocoder):
    # to load a component, diffusers looks for its base class among the names of the module that
    # defines it
    vars(sys.modules[component.__module__]).setdefault("ModelMixin", ModelMixin)


class MMDiffPipeline(DiffusionPipeline):
    """Text to clips: picture and sound are sampled together by one transformer, then decoded.

    Any diffusers scheduler can be assigned to `scheduler` (and, for a schedule of its own for the
    sound, to
    `audio_scheduler`); it is matched to the checkpoint by signal-to-noise ratio.

    Args:
        noise_schedule, parameterization: what the transformer was trained for.
        frame_rate: frames per second that it was trained at.
        default_*: what a call uses where it names nothing else.
    """

    model_cpu_offload_seq = "text_encoder->transformer->vae->audio_vae->vocoder"
    _optional_components: ClassVar[list[str]] = ["audio_scheduler"]
    _callback_tensor_inputs: ClassVar[list[str]] = [
        "latents",
        "audio_latents",
        "prompt_embeds",
        "negative_prompt_embeds",
    ]

    def __init__(
        self,
        transformer: DiffusionTransformer,
        vae: VideoAutoencoder,
        audio_vae: AudioAutoencoder,
        vocoder: Vocoder,
        text_encoder: T5EncoderModel,
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
    ) -> None:
        super().__init__()
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
        )
        grid = grid_of(vae, audio_vae, vocoder, frame_rate=frame_rate)
        self.latent_grid = grid
        self.vae_scale_factor_temporal = grid.time_compression
        self.vae_scale_factor_spatial = grid.space_compression
        self.audio_sampling_rate = grid.sample_rate
        self.video_processor = VideoProcessor(vae_scale_factor=grid.space_compression)

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | PathLike[str] | None = None, **kwargs: Any
    ) -> Self:
        """Load the bundled model, a folder, or a repository of the hub; keywords as in diffusers.

        Weights are held in fp32 unless `dtype` (or `torch_dtype`) says otherwise. What diffusers
        would load in silence is refused: missing, unexpected or non-finite weights, unknown config
        keys, pickles. `strict=False` leaves these checks out.

        Raises CheckpointError, which names the file and the cure.
        """
        strict, variant = kwargs.pop("strict", True), kwargs.get("variant")
        if not kwargs.pop("use_safetensors", True):
            raise ValueError("use_safetensors is False; mmdiff loads nothing else: leave it out")
        kwargs["dtype"] = kwargs.pop("torch_dtype", None) or kwargs.get("dtype") or torch.float32
        hub = {name: kwargs.pop(name) for name in HUB_KEYWORDS if name in kwargs}
        folder = pipeline_folder(pretrained_model_name_or_path, **hub)
        if strict:
            check_checkpoint(folder, pipeline=cls, variant=variant, given=kwargs.keys())
        return super().from_pretrained(str(folder), use_safetensors=True, **kwargs)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        # diffusers keeps recording "no component" where one is assigned for the first time, and
        # would not save it
        if name == "audio_scheduler" and value is not None and self.config[name][0] is None:
            self.register_modules(audio_scheduler=value)

    # What a call goes through, each step of use by itself.

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
        modalities: Sequence[Modality],
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
        max_sequence_length: int = 512,
    ) -> int:
        """Refuse what is not possible, before any memory is taken; returns the number of clips.

        Raises ValueError or TypeError naming the argument, its value, what is legal and the
        nearest good value.
        """
        config = self.transformer.config
        width_of_text = config.text_dim
        num_prompts = checks.check_text(
            "prompt", prompt, prompt_embeds, prompt_attention_mask, width=width_of_text
        )
        if negative_prompt is not None or negative_prompt_embeds is not None:
            checks.check_text(
                "negative_prompt",
                negative_prompt,
                negative_prompt_embeds,
                negative_prompt_attention_mask,
                width=width_of_text,
                count=num_prompts,
            )
        checks.check_integer("max_sequence_length", max_sequence_length, 2, MAX_TEXT_TOKENS)
        checks.check_integer("num_videos_per_prompt", num_videos_per_prompt, 1, MAX_BATCH)
        checks.check_integer("num_inference_steps", num_inference_steps, 1, MAX_STEPS)
        checks.check_number("guidance_scale", self.guidance_scale, 0.0, MAX_GUIDANCE_SCALE)
        checks.check_number(
            "audio_guidance_scale", self.audio_guidance_scale, 0.0, MAX_GUIDANCE_SCALE
        )
        checks.check_number("guidance_rescale", self.guidance_rescale, 0.0, 1.0)
        checks.check_choice("output_type", output_type, checks.OUTPUT_TYPES)
        for name in callback_on_step_end_tensor_inputs:
            checks.check_choice(
                "callback_on_step_end_tensor_inputs", name, self._callback_tensor_inputs
            )
        batch_size = num_prompts * num_videos_per_prompt
        checks.check_generators(generator, batch_size=batch_size, device=self._execution_device)
        checks.check_frame_rate(frame_rate, trained=self.config.frame_rate)
        shapes = checks.check_shape(
            self.latent_grid, num_frames, height=height, width=width, patch=config.patch_size
        )
        for name, half, given in (
            ("latents", "video", latents),
            ("audio_latents", "audio", audio_latents),
        ):
            if given is not None:
                checks.check_tensor(name, given, (batch_size, *shapes[half]))
            if given is not None and half not in modalities:
                raise ValueError(
                    f"{name} are given, but modalities is {tuple(modalities)}: add {half!r}, or "
                    f"leave them out"
                )
        size = CallSize(
            num_frames=num_frames,
            height=height,
            width=width,
            batch_size=batch_size,
            passes=2,
            patch=config.patch_size,
            token_width=config.num_attention_heads * config.attention_head_dim,
        )
        check_memory(size, self.latent_grid, self._execution_device)
        return batch_size

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
        max_sequence_length: int = 512,
    ) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        """Text tokens b l d and mask b l of the prompts, and of the negative prompts where
        guidance wants them.

        Embeddings that are given are taken as they are; `num_videos_per_prompt` repeats each row.
        """
        context = self._context(
            prompt, prompt_embeds, prompt_attention_mask, max_length=max_sequence_length
        )
        negative = None
        if do_classifier_free_guidance:
            negative = self._context(
                negative_prompt or "",
                negative_prompt_embeds,
                negative_prompt_attention_mask,
                max_length=max_sequence_length,
            )
            if negative.batch_size == 1:
                negative = negative.repeat(context.batch_size)
            negative = negative.repeat_interleave(num_videos_per_prompt)
        context = context.repeat_interleave(num_videos_per_prompt)
        return (
            context.tokens,
            context.mask,
            None if negative is None else negative.tokens,
            None if negative is None else negative.mask,
        )

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
        """Unit noise b c f h w, fp32, each row by its own generator; or `latents`, where they are
        given."""
        shape = self.latent_grid.video_shape(num_frames, height, width)
        return self._noise(batch_size, shape, generators=generators, given=latents)

    def prepare_audio_latents(
        self,
        batch_size: int,
        num_frames: int,
        generators: Sequence[torch.Generator],
        audio_latents: Tensor | None = None,
    ) -> Tensor:
        """Unit noise b c t m, fp32, each row by its own generator; or `audio_latents`, where they
        are given."""
        shape = self.latent_grid.audio_shape(num_frames)
        return self._noise(batch_size, shape, generators=generators, given=audio_latents)

    def _noise(
        self,
        batch_size: int,
        shape: tuple[int, ...],
        *,
        generators: Sequence[torch.Generator],
        given: Tensor | None,
    ) -> Tensor:
        device = self._execution_device
        if given is not None:
            return given.to(device, torch.float32)
        return randn_tensor(
            (batch_size, *shape), generator=list(generators), device=device, dtype=torch.float32
        )

    def decode_latents(self, latents: ClipLatents, num_frames: int) -> ClipLatents:
        """Media of clean latents: frames b 3 frames height width and sound b 1 samples, both in
        [-1, 1], on the CPU."""
        video = (
            None
            if latents.video is None
            else decode_video(self.vae, latents.video, grid=self.latent_grid)
        )
        audio = None
        if latents.audio is not None:
            audio = decode_audio(
                self.audio_vae,
                self.vocoder,
                latents.audio,
                grid=self.latent_grid,
                num_samples=ClipShape(
                    num_frames=num_frames,
                    frame_rate=self.latent_grid.frame_rate,
                    sample_rate=self.latent_grid.sample_rate,
                ).num_samples,
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
        max_sequence_length: int = 512,
        modalities: str | Sequence[str] | None = None,
        guidance: Sequence[Guider] | None = None,
    ) -> MMDiffPipelineOutput | tuple[Any, Tensor | None]:
        """Make clips. What is left out is as the checkpoint was trained: see the pipeline's
        `config.default_*`.

        Args:
            prompt: what the clips show and sound like; one, or a list for a batch.
            negative_prompt: what they should keep away from.
            num_frames: 1 + 4k; 1 makes a still image, which has no sound unless `modalities` asks
                for it.
            sigmas, timesteps: own levels, for schedulers that take them.
            guidance_scale, audio_guidance_scale, guidance_rescale: classifier-free guidance of the
                picture and of the
                sound (None: like the picture); 1 turns it off.
            generator: one for each clip makes clip i the same alone and in any batch; a single one
                is drawn from for
                one clip after the other; None takes seeds from torch's global generator.
            latents, audio_latents: unit noise to start from.
            output_type: of `frames`: "pil", "np" or "pt"; "latent" leaves out decoding.
            callback_on_step_end: called as (pipeline, index, timestep, tensors) after each step;
                may return tensors to
                go on with, and set `pipeline._interrupt = True` to stop.
            modalities: "video", "audio" or both.
            guidance: guiders to use in place of classifier-free guidance by the scales above.

        Returns:
            MMDiffPipelineOutput with `frames`, `audio` and `clips`; with `return_dict=False`
            (frames, audio).

        Raises:
            ValueError, TypeError: naming the argument, its value, what is legal and the nearest
            good value.
        """
        if isinstance(callback_on_step_end, (PipelineCallback, MultiPipelineCallbacks)):
            callback_on_step_end_tensor_inputs = callback_on_step_end.tensor_inputs
        if attention_kwargs:
            raise ValueError(
                f"attention_kwargs is {attention_kwargs}; this transformer takes none: leave it out"
            )
        height = self._given("height", height)
        width = self._given("width", width)
        num_frames = self._given("num_frames", num_frames)
        num_inference_steps = self._given("num_inference_steps", num_inference_steps)
        self._guidance_scale = self._given("guidance_scale", guidance_scale)
        self._guidance_rescale = self._given("guidance_rescale", guidance_rescale)
        self._audio_guidance_scale = self._given("audio_guidance_scale", audio_guidance_scale)
        self._guidance, self._attention_kwargs = guidance, attention_kwargs
        self._interrupt, self._current_timestep = False, None
        halves = checks.legal_modalities(modalities, num_frames=num_frames)
        batch_size = self.check_inputs(
            prompt,
            negative_prompt,
            height,
            width,
            num_frames,
            frame_rate=self.config.frame_rate if frame_rate is None else frame_rate,
            num_inference_steps=num_inference_steps,
            modalities=halves,
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
        embeds, mask, negative_embeds, negative_mask = self.encode_prompt(
            prompt,
            negative_prompt,
            self.do_classifier_free_guidance,
            num_videos_per_prompt,
            prompt_embeds,
            prompt_attention_mask,
            negative_prompt_embeds,
            negative_prompt_attention_mask,
            max_sequence_length,
        )
        negative_context = None
        if negative_embeds is not None and negative_mask is not None:
            negative_context = Context(negative_embeds, negative_mask)
        generators = one_generator_each(generator, batch_size)
        noise = ClipLatents(
            self.prepare_latents(batch_size, num_frames, height, width, generators, latents)
            if "video" in halves
            else None,
            self.prepare_audio_latents(batch_size, num_frames, generators, audio_latents)
            if "audio" in halves
            else None,
        )
        noise_schedule = named_noise_schedule(self.config.noise_schedule)
        schedulers = matched_schedulers(
            self.scheduler,
            self.audio_scheduler,
            modalities=halves,
            noise_schedule=noise_schedule,
            num_inference_steps=num_inference_steps,
            sigmas=sigmas,
            timesteps=timesteps,
        )
        run = schedulers[halves[0]]
        self._num_timesteps = run.num_calls
        with self.progress_bar(total=run.num_calls) as progress_bar:

            def after_step(index: int, state: LatentState, guided: GuidedDenoiser) -> LatentState:
                self._current_timestep = run.scheduler.timesteps[index]
                if callback_on_step_end is not None:
                    state = apply_callback(
                        callback_on_step_end,
                        self,
                        index=index,
                        timestep=self._current_timestep,
                        state=state,
                        guided=guided,
                        names=callback_on_step_end_tensor_inputs,
                    )
                    guided.guiders = tuple(self._guiders())
                progress_bar.update()
                return state

            clean = sample_latents(
                self.transformer,
                noise,
                generators,
                context=Context(embeds, mask),
                negative_context=negative_context,
                guiders=self._guiders(),
                schedulers=schedulers,
                noise_schedule=noise_schedule,
                parameterization=self.config.parameterization,
                callback=after_step,
                is_interrupted=lambda: self._interrupt,
            )
        self._current_timestep = None
        output = self._output(clean, num_frames, output_type=output_type)
        self.maybe_free_model_hooks()
        return output if return_dict else (output.frames, output.audio)

    def _output(
        self, clean: ClipLatents, num_frames: int, *, output_type: str
    ) -> MMDiffPipelineOutput:
        if output_type == "latent":
            return MMDiffPipelineOutput(frames=clean.video, audio=clean.audio)
        media = self.decode_latents(clean, num_frames)
        frames = None
        if media.video is not None:
            frames = self.video_processor.postprocess_video(media.video, output_type)
        return MMDiffPipelineOutput(
            frames=frames, audio=media.audio, clips=clips_of(media, self.latent_grid)
        )

    def _guiders(self) -> Sequence[Guider]:
        if self._guidance is not None:
            return self._guidance
        return [
            ClassifierFree(
                guidance_scale=self._guidance_scale,
                audio_guidance_scale=self._audio_guidance_scale,
                guidance_rescale=self._guidance_rescale,
            )
        ]

    def _given(self, name: str, value: Any) -> Any:
        return self.config[f"default_{name}"] if value is None else value

    @property
    def guidance_scale(self) -> float:
        return self._guidance_scale

    @property
    def guidance_rescale(self) -> float:
        return self._guidance_rescale

    @property
    def audio_guidance_scale(self) -> float:
        """The scale of the sound; like the picture's where none of its own was given."""
        return (
            self._guidance_scale
            if self._audio_guidance_scale is None
            else self._audio_guidance_scale
        )

    @property
    def do_classifier_free_guidance(self) -> bool:
        """Whether a negative prompt has any say: guidance by own guiders, or by a scale other than
        1."""
        return (
            self._guidance is not None or self.guidance_scale != 1 or self.audio_guidance_scale != 1
        )

    @property
    def num_timesteps(self) -> int:
        return self._num_timesteps

    @property
    def current_timestep(self) -> Tensor | None:
        return self._current_timestep

    @property
    def attention_kwargs(self) -> dict[str, Any] | None:
        return self._attention_kwargs

    @property
    def interrupt(self) -> bool:
        return self._interrupt
