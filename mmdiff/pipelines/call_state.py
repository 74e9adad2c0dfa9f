"""What diffusers' users, and their callbacks, can ask a pipeline about the call it is in."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from mmdiff.guidance.classifier_free import ClassifierFree
from mmdiff.guidance.guider import Guider
from mmdiff.pipelines.request import GenerationRequest


class CallState:
    """The state of the current or last call, mixed into the pipeline.

    A callback may set `_guidance_scale`, `_guidance_rescale` and `_audio_guidance_scale`, which
    count from the next step on, and `_interrupt`, which stops the call.
    """

    _guidance_scale: float
    _guidance_rescale: float
    _audio_guidance_scale: float | None
    _guidance: Sequence[Guider] | None
    _num_timesteps: int
    _current_timestep: Tensor | None
    _attention_kwargs: dict[str, Any] | None
    _interrupt: bool

    def _begin_call(
        self, request: GenerationRequest, attention_kwargs: dict[str, Any] | None
    ) -> None:
        self._guidance_scale = request.guidance_scale
        self._guidance_rescale = request.guidance_rescale
        self._audio_guidance_scale = request.audio_guidance_scale
        self._guidance = request.guidance
        self._attention_kwargs = attention_kwargs
        self._current_timestep = None
        self._interrupt = False

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
        """Whether a negative prompt has any say: by guiders of the caller, or a scale but 1."""
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
