"""What diffusers' users, and their callbacks, can ask a pipeline about the call it is in."""

from typing import Any

from torch import Tensor

from mmdiff.guidance.energy import Energy
from mmdiff.guidance.guider import Guider
from mmdiff.guidance.named_scales import Guidance, guiders_of
from mmdiff.guidance.text_guiders import TextGuider
from mmdiff.pipelines.request import GenerationRequest
from mmdiff.values.latents import MODALITIES


class CallState:
    """The state of the current or last call, mixed into the pipeline.

    A callback may set `_guidance_scale`, `_guidance_rescale`, `_audio_guidance_scale`,
    `_frame_consistency_scale`, `_modality_scale` and `_guidance`, which count from the next step
    on, and `_interrupt`, which stops the call.
    """

    _guidance_scale: float
    _guidance_rescale: float
    _audio_guidance_scale: float | None
    _frame_consistency_scale: float
    _modality_scale: float
    _guidance: tuple[Guidance, ...]
    _num_timesteps: int
    _current_timestep: Tensor | None
    _attention_kwargs: dict[str, Any] | None
    _interrupt: bool
    config: Any

    def _before_first_call(self) -> None:
        """As a call without arguments begins: `check_inputs` may be asked before any call."""
        self._guidance_scale = self.config.default_guidance_scale
        self._guidance_rescale = self.config.default_guidance_rescale
        self._audio_guidance_scale = self.config.default_audio_guidance_scale
        self._frame_consistency_scale = self.config.default_frame_consistency_scale
        self._modality_scale = self.config.default_modality_scale
        self._guidance = ()
        self._num_timesteps = 0
        self._attention_kwargs = self._current_timestep = None
        self._interrupt = False

    def _begin_call(
        self, request: GenerationRequest, attention_kwargs: dict[str, Any] | None
    ) -> None:
        self._guidance_scale = request.guidance_scale
        self._guidance_rescale = request.guidance_rescale
        self._audio_guidance_scale = request.audio_guidance_scale
        self._frame_consistency_scale = request.frame_consistency_scale
        self._modality_scale = request.modality_scale
        self._guidance = request.guidance
        self._attention_kwargs = attention_kwargs
        self._current_timestep = None
        self._interrupt = False

    def _guiders(self) -> list[Guider | Energy]:
        return guiders_of(
            self._guidance,
            guidance_scale=self._guidance_scale,
            audio_guidance_scale=self._audio_guidance_scale,
            guidance_rescale=self._guidance_rescale,
            frame_consistency_scale=self._frame_consistency_scale,
            modality_scale=self._modality_scale,
        )

    @property
    def guidance_scale(self) -> float:
        return self._guidance_scale

    @property
    def guidance_rescale(self) -> float:
        return self._guidance_rescale

    @property
    def audio_guidance_scale(self) -> float:
        """The scale of the sound; like the picture's where none of its own was given."""
        own = self._audio_guidance_scale
        return self._guidance_scale if own is None else own

    @property
    def do_classifier_free_guidance(self) -> bool:
        """Whether a negative prompt has any say: by a text guider at a scale but 1."""
        return any(
            isinstance(guider, TextGuider) and any(map(guider.scale_of, MODALITIES))
            for guider in self._guiders()
        )

    @property
    def frame_consistency_scale(self) -> float:
        return self._frame_consistency_scale

    @property
    def modality_scale(self) -> float:
        return self._modality_scale

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
