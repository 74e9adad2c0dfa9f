"""MMDiffPipeline: from a prompt to clips with sound, as a diffusers pipeline."""

from collections.abc import Sequence
from os import PathLike
from typing import Any, ClassVar, Self

import torch
from diffusers.callbacks import MultiPipelineCallbacks, PipelineCallback
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from diffusers.video_processor import VideoProcessor
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mmdiff.autoencoders.audio_autoencoder import AudioAutoencoder
from mmdiff.autoencoders.video_autoencoder import VideoAutoencoder
from mmdiff.autoencoders.vocoder import Vocoder
from mmdiff.backbone.transformer import DiffusionTransformer
from mmdiff.diffusion.denoiser import Denoiser
from mmdiff.diffusion.noise_schedule import named_noise_schedule
from mmdiff.diffusion.sampler import Sampler
from mmdiff.guidance.guided_denoiser import GuidedDenoiser
from mmdiff.guidance.named_scales import Guidance, checked_guidance
from mmdiff.loading.module_memory import align_weights
from mmdiff.loading.pipeline import prepare_loading
from mmdiff.pipelines import checks
from mmdiff.pipelines.call_conditions import CallConditions, Conditions
from mmdiff.pipelines.conditioned_call import ConditionedCall
from mmdiff.pipelines.generators import one_generator_each
from mmdiff.pipelines.grid import grid_of
from mmdiff.pipelines.output import MMDiffPipelineOutput, clips_of
from mmdiff.pipelines.request import GenerationRequest, check_request
from mmdiff.pipelines.sample_latents import matched_schedulers
from mmdiff.pipelines.step_callback import StepEnd, apply_callback, tensor_inputs_of
from mmdiff.text.caption_length import MAX_TEXT_TOKENS
from mmdiff.values.context import Context
from mmdiff.values.latent_state import LatentState
from mmdiff.values.latents import ClipLatents


class MMDiffPipeline(ConditionedCall, DiffusionPipeline):
    """Text to clips: picture and sound are sampled together by one transformer, then decoded.

    Any diffusers scheduler can be assigned to `scheduler` (and, for a schedule of its own for the
    sound, to `audio_scheduler`); it is matched to the checkpoint by signal-to-noise ratio.

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
        self._before_first_call()
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
        folder, keywords = prepare_loading(cls, pretrained_model_name_or_path, keywords=kwargs)
        return super().from_pretrained(str(folder), **keywords)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        # where one is assigned for the first time, diffusers goes on recording "no component", and
        # would not save it
        if name == "audio_scheduler" and value is not None and self.config[name][0] is None:
            self.register_modules(audio_scheduler=value)

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
        """Make clips. What is left out is as the checkpoint was trained: see the pipeline's
        `config.default_*`.

        Args:
            prompt: what the clips show and sound like; one, or a list for a batch.
            negative_prompt: what they should keep away from.
            num_frames: 1 + 4k; 1 makes a still image, which has no sound unless `modalities` asks
                for it.
            sigmas, timesteps: own levels, for schedulers that take them; one of the two, falling.
                The clean level at the end comes by itself (but in sigmas of EulerDiscrete).
            guidance_scale, audio_guidance_scale, guidance_rescale: classifier-free guidance of the
                picture and of the sound (None: like the picture); 1 turns it off.
            generator: one for each clip makes clip i the same alone and in any batch; a single one
                is drawn from for one clip after the other; None takes seeds from torch's global
                generator.
            latents, audio_latents: unit noise to start from, in fp32, fp16 or bf16 (all are exact
                in fp32, in which the loop runs).
            output_type: of `frames`: "pil", "np" or "pt"; "latent" leaves out decoding.
            callback_on_step_end: called as (pipeline, index, timestep, tensors) after each step;
                may return tensors to go on with, and set `pipeline._interrupt = True` to stop.
            max_sequence_length: tokens of a prompt that are read, at most; the tokenizer's own
                `model_max_length` is the length that the model was trained with.
            modalities: "video", "audio" or both.
            guidance: guiders and energies, one or any number of them, such as
                `mmdiff.SkipLayer(blocks=(2,))`. The scales of the text above are those of
                classifier-free guidance; a text guider in `guidance` takes its place.
            frame_consistency_scale, modality_scale: add `mmdiff.FrameConsistency` and
                `mmdiff.ModalityGuidance`; 0 is off.
            conditions: what is given of the clips, such as `mmdiff.FirstFrame(image)`; one list for
                all of them, or a list of lists, one for each. Where `num_frames` is left out, it
                follows what is given.

        Returns:
            MMDiffPipelineOutput with `frames`, `audio` and `clips`; with `return_dict=False`
            (frames, audio).

        Raises:
            ValueError, TypeError: naming the argument, its value, what is legal and the nearest
            good value.
        """
        checks.check_attention_kwargs(attention_kwargs)
        given = CallConditions.of(conditions)
        default, grid = self.config.default_num_frames, self.latent_grid
        num_frames = given.num_frames(num_frames, default=default, grid=grid)
        scales = {
            "guidance_scale": guidance_scale,
            "audio_guidance_scale": audio_guidance_scale,
            "guidance_rescale": guidance_rescale,
            "frame_consistency_scale": frame_consistency_scale,
            "modality_scale": modality_scale,
        }
        guiders = checked_guidance(guidance, scales)
        request = GenerationRequest(
            prompt=prompt,
            negative_prompt=negative_prompt,
            height=self._or_default("height", height),
            width=self._or_default("width", width),
            num_frames=num_frames,
            frame_rate=self.config.frame_rate if frame_rate is None else frame_rate,
            num_inference_steps=self._or_default("num_inference_steps", num_inference_steps),
            modalities=given.modalities(modalities, num_frames=num_frames, grid=grid),
            **{name: self._or_default(name, scale) for name, scale in scales.items()},
            guidance=guiders,
            sigmas=sigmas,
            timesteps=timesteps,
            num_videos_per_prompt=num_videos_per_prompt,
            generator=generator,
            latents=latents,
            audio_latents=audio_latents,
            prompt_embeds=prompt_embeds,
            prompt_attention_mask=prompt_attention_mask,
            negative_prompt_embeds=negative_prompt_embeds,
            negative_prompt_attention_mask=negative_prompt_attention_mask,
            max_sequence_length=max_sequence_length,
            output_type=output_type,
            callback_on_step_end=callback_on_step_end,
            callback_on_step_end_tensor_inputs=tensor_inputs_of(
                callback_on_step_end, asked=callback_on_step_end_tensor_inputs
            ),
        )
        self._begin_call(request, attention_kwargs)
        check_request(request, self._limits())
        try:
            context, negative_context = self._encode(request)
            generators = one_generator_each(generator, request.batch_size)
            made = self._made(
                request, generators, given=given, context=context, negative_context=negative_context
            )
            output = self._output(request, made)
        finally:  # what a call that ends early left in caches must not reach the next
            self.maybe_free_model_hooks()
        return output if return_dict else (output.frames, output.audio)

    def _or_default(self, name: str, value: Any) -> Any:
        return self.config[f"default_{name}"] if value is None else value

    def _sample(
        self,
        request: GenerationRequest,
        state: LatentState,
        generators: Sequence[torch.Generator],
        *,
        context: Context,
        negative_context: Context | None,
    ) -> ClipLatents:
        noise_schedule = named_noise_schedule(self.config.noise_schedule)
        schedulers = matched_schedulers(
            self.scheduler,
            self.audio_scheduler,
            modalities=request.modalities,
            noise_schedule=noise_schedule,
            num_inference_steps=request.num_inference_steps,
            sigmas=request.sigmas,
            timesteps=request.timesteps,
        )
        run = schedulers[request.modalities[0]]
        self._num_timesteps = run.num_calls
        times = list(run.scheduler.timesteps)
        self._current_timestep = times[0]
        denoiser = GuidedDenoiser(
            Denoiser(self.transformer, noise_schedule, self.config.parameterization),
            context,
            negative_context=negative_context,
            guiders=self._guiders(),
            noise_schedule=noise_schedule,
            decode=self._energy_decode(),
            prompts=request.prompt_of_each_clip,
        )
        sampler = Sampler(schedulers, state)
        state = sampler.start
        with self.progress_bar(total=run.num_calls) as progress_bar:
            for index in sampler.calls:
                if self._interrupt:
                    break
                clean = denoiser(state.latents, sampler.time(index, state))
                state = sampler.step(index, state, clean, generators)
                state = apply_callback(request, self, index=index, state=state, guided=denoiser)
                self._current_timestep = times[min(index + 1, len(times) - 1)]
                progress_bar.update()
        self._current_timestep = None
        return state.latents

    def _output(self, request: GenerationRequest, media: ClipLatents) -> MMDiffPipelineOutput:
        if request.output_type == "latent":
            return MMDiffPipelineOutput(frames=media.video, audio=media.audio)
        frames = None
        if media.video is not None:
            frames = self.video_processor.postprocess_video(media.video, request.output_type)
        return MMDiffPipelineOutput(
            frames=frames, audio=media.audio, clips=clips_of(media, self.latent_grid)
        )
