"""diffusers' `callback_on_step_end` on our loop: tensors by name, out and back in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from diffusers.callbacks import MultiPipelineCallbacks, PipelineCallback
from torch import Tensor

from mmdiff.guidance.guided_denoiser import GuidedDenoiser
from mmdiff.pipelines.checks import check_dense
from mmdiff.pipelines.request import GenerationRequest
from mmdiff.values.latent_state import LatentState
from mmdiff.values.latents import ClipLatents

# (pipeline, index of the step, timestep of the scheduler, tensors by name)
# -> tensors to go on with, or None
StepEnd = Callable[[Any, int, Any, dict[str, Tensor]], dict[str, Tensor] | None]


def tensor_inputs_of(callback: Any, *, asked: Sequence[str]) -> Sequence[str]:
    """Names of the tensors for `callback`: diffusers' own classes bring them along."""
    if isinstance(callback, (PipelineCallback, MultiPipelineCallbacks)):
        names: Sequence[str] = callback.tensor_inputs
        return names
    return asked


def apply_callback(
    request: GenerationRequest,
    pipeline: Any,
    *,
    index: int,
    state: LatentState,
    guided: GuidedDenoiser,
) -> LatentState:
    """Call the user's callback, if there is one, after step `index`. What it returns replaces
    latents at once; embeddings, and scales that it sets, count from the next step on.

    Raises TypeError where it returns anything but tensors by name, ValueError for a name that was
    not asked for, another shape, precision or device, or numbers that are not finite.
    """
    if request.callback_on_step_end is None:
        return state
    tensors = _tensors(state, guided)
    names = request.callback_on_step_end_tensor_inputs
    handed_out = {name: tensors[name] for name in names if name in tensors}
    returned = request.callback_on_step_end(
        pipeline, index, pipeline.current_timestep, dict(handed_out)
    )
    if returned is not None:
        _check_returned(returned, handed_out)
        tensors |= returned
        _set_embeddings(guided, tensors)
        state = state.with_latents(
            ClipLatents(tensors.get("latents"), tensors.get("audio_latents"))
        )
    guided.guiders = tuple(pipeline._guiders())
    return state


def _check_returned(returned: Any, handed_out: dict[str, Tensor]) -> None:
    if not isinstance(returned, Mapping):
        raise TypeError(
            f"callback_on_step_end returned a {type(returned).__name__}; it must return tensors by "
            "name, such as {'latents': latents}, or None"
        )
    for name, tensor in returned.items():
        if name not in handed_out:
            raise ValueError(
                f"callback_on_step_end returned {name!r}; it can return "
                f"{', '.join(handed_out) or 'nothing'}: "
                "name it in callback_on_step_end_tensor_inputs"
            )
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"callback_on_step_end returned {name} as a {type(tensor).__name__}; it must stay "
                "a tensor"
            )
        _check_like(name, tensor, handed_out[name])


def _check_like(name: str, tensor: Tensor, before: Tensor) -> None:
    told = f"callback_on_step_end returned {name}"
    if tensor.shape != before.shape:
        raise ValueError(
            f"{told} of shape {tuple(tensor.shape)}; it must stay {tuple(before.shape)}"
        )
    check_dense(f"{name} that callback_on_step_end returned", tensor)
    for fact in ("dtype", "device"):
        if (got := getattr(tensor, fact)) != (wanted := getattr(before, fact)):
            raise ValueError(f"{told} as {got}; it must stay {wanted}: {name}.to({wanted})")
    if not bool(tensor.isfinite().all()):
        raise ValueError(f"{told} with NaN or infinity; all values must be finite")


def _tensors(state: LatentState, guided: GuidedDenoiser) -> dict[str, Tensor]:
    negative = guided.negative_context
    tensors = {
        "latents": state.latents.video,
        "audio_latents": state.latents.audio,
        "prompt_embeds": guided.context.tokens,
        "negative_prompt_embeds": None if negative is None else negative.tokens,
    }
    return {name: tensor for name, tensor in tensors.items() if tensor is not None}


def _set_embeddings(guided: GuidedDenoiser, tensors: dict[str, Tensor]) -> None:
    guided.context = replace(guided.context, tokens=tensors["prompt_embeds"])
    if guided.negative_context is not None:
        guided.negative_context = replace(
            guided.negative_context, tokens=tensors["negative_prompt_embeds"]
        )
