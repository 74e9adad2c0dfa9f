"""diffusers' `callback_on_step_end` on our loop: tensors by name, out and back in."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from diffusers.callbacks import MultiPipelineCallbacks, PipelineCallback
from torch import Tensor

from mmdiff.guidance.guided_denoiser import GuidedDenoiser
from mmdiff.pipelines.checks import check_dense, check_names
from mmdiff.values.latent_state import LatentState

# (pipeline, index of the step, timestep of the scheduler, tensors by name)
# -> tensors to go on with, or None
StepEnd = Callable[[Any, int, Any, dict[str, Tensor]], dict[str, Tensor] | None]


TENSORS = ("latents", "audio_latents", "prompt_embeds", "negative_prompt_embeds")


class StepCallback:
    """The user's callback after each step, and the names of the tensors that it asks for.

    Raises TypeError, ValueError where it cannot be called, or a name is none of `TENSORS`.
    """

    def __init__(self, callback: Any, names: Any) -> None:
        if not callable(callback):
            raise TypeError(
                f"callback_on_step_end is a {type(callback).__name__}; it must be a function of "
                "(pipeline, index, timestep, tensors)"
            )
        if isinstance(callback, (PipelineCallback, MultiPipelineCallbacks)):
            names = callback.tensor_inputs  # diffusers' own classes bring them along
        self.callback: StepEnd = callback
        self.names = check_names("callback_on_step_end_tensor_inputs", names, TENSORS)

    def __call__(
        self, pipeline: Any, index: int, state: LatentState, denoiser: GuidedDenoiser
    ) -> LatentState:
        """The state to go on with after step `index`. Latents that the callback returns replace
        those of the state; embeddings count from the next step on.

        Raises TypeError where it returns anything but tensors by name, ValueError for a name that
        was not asked for, another shape, precision or device, or numbers that are not finite.
        """
        negative = denoiser.negative_context
        tensors = {
            "latents": state.latents.video,
            "audio_latents": state.latents.audio,
            "prompt_embeds": denoiser.context.tokens,
            "negative_prompt_embeds": None if negative is None else negative.tokens,
        }
        asked = {name: one for name in self.names if (one := tensors[name]) is not None}
        returned = self.callback(pipeline, index, pipeline.current_timestep, dict(asked))
        if returned is None:
            return state
        _check_returned(returned, asked)
        if "prompt_embeds" in returned:
            denoiser.context = replace(denoiser.context, tokens=returned["prompt_embeds"])
        if negative is not None and "negative_prompt_embeds" in returned:
            denoiser.negative_context = replace(negative, tokens=returned["negative_prompt_embeds"])
        latents = state.latents
        for name, modality in (("latents", "video"), ("audio_latents", "audio")):
            if name in returned:
                latents = latents.replace(modality, returned[name])
        return state.with_latents(latents)


def _check_returned(returned: Any, asked: dict[str, Tensor]) -> None:
    if not isinstance(returned, Mapping):
        raise TypeError(
            f"callback_on_step_end returned a {type(returned).__name__}; it must return tensors by "
            "name, such as {'latents': latents}, or None"
        )
    for name, tensor in returned.items():
        said = f"callback_on_step_end returned {name}"
        if name not in asked:
            raise ValueError(
                f"callback_on_step_end returned {name!r}; it can return "
                f"{', '.join(asked) or 'nothing'}: name it in callback_on_step_end_tensor_inputs"
            )
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{said} as a {type(tensor).__name__}; it must stay a tensor")
        check_dense(f"{name} that callback_on_step_end returned", tensor)
        for fact in ("shape", "dtype", "device"):
            got, wanted = getattr(tensor, fact), getattr(asked[name], fact)
            if got != wanted and fact == "shape":
                raise ValueError(f"{said} of shape {tuple(got)}; it must stay {tuple(wanted)}")
            if got != wanted:
                raise ValueError(f"{said} as {got}; it must stay {wanted}: {name}.to({wanted})")
        if not bool(tensor.isfinite().all()):
            raise ValueError(f"{said} with NaN or infinity; all values must be finite")
