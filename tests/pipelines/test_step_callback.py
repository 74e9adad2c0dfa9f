"""`callback_on_step_end`: what it sees, what it may change, and how it stops a run."""

from typing import Any

import pytest
import torch
from diffusers.callbacks import PipelineCallback

from mmdiff.pipelines.pipeline import MMDiffPipeline
from tests.pipelines.tiny import tiny_pipeline


@pytest.fixture(scope="module")
def pipe() -> MMDiffPipeline:
    return tiny_pipeline()


def run(pipe: MMDiffPipeline, callback: Any = None, *names: str, **arguments: Any) -> Any:
    inputs = {"callback_on_step_end_tensor_inputs": list(names)} if names else {}
    generator = torch.Generator().manual_seed(0)
    return pipe(
        "red",
        generator=generator,
        output_type="latent",
        callback_on_step_end=callback,
        **inputs,
        **arguments,
    )


def test_it_sees_every_step_and_only_what_was_asked_for(pipe: MMDiffPipeline) -> None:
    seen = []

    def callback(pipeline: Any, index: int, timestep: Any, tensors: dict[str, Any]) -> None:
        assert pipeline is pipe and pipe.current_timestep == timestep
        seen.append((index, sorted(tensors)))

    run(pipe, callback, "latents", "prompt_embeds", num_inference_steps=3)
    assert seen == [(index, ["latents", "prompt_embeds"]) for index in range(3)]
    assert pipe.num_timesteps == 3


def test_a_halves_latents_are_left_out_where_there_is_none(pipe: MMDiffPipeline) -> None:
    seen = set()
    run(
        pipe,
        lambda p, i, t, tensors: seen.update(tensors),
        "latents",
        "audio_latents",
        modalities="audio",
    )
    assert seen == {"audio_latents"}


def test_what_it_returns_goes_on(pipe: MMDiffPipeline) -> None:
    def callback(
        pipeline: Any, index: int, timestep: Any, tensors: dict[str, Any]
    ) -> dict[str, Any]:
        return (
            {"latents": torch.zeros_like(tensors["latents"])}
            if pipeline.num_timesteps == index + 1
            else {}
        )

    out = run(pipe, callback)
    assert not out.frames.any() and torch.equal(out.audio, run(pipe).audio)


def test_changed_embeddings_count_from_the_next_step_on(pipe: MMDiffPipeline) -> None:
    def callback(
        pipeline: Any, index: int, timestep: Any, tensors: dict[str, Any]
    ) -> dict[str, Any]:
        return {"prompt_embeds": -tensors["prompt_embeds"]}

    assert not torch.equal(run(pipe, callback, "prompt_embeds").frames, run(pipe).frames)


def test_changed_guidance_scale_counts_from_the_next_step_on(pipe: MMDiffPipeline) -> None:
    def callback(pipeline: Any, index: int, timestep: Any, tensors: dict[str, Any]) -> None:
        pipeline._guidance_scale = 9.0

    assert not torch.equal(run(pipe, callback).frames, run(pipe).frames)


def test_changed_scales_of_the_other_guiders_count_too(pipe: MMDiffPipeline) -> None:
    for name in ("_frame_consistency_scale", "_modality_scale"):

        def callback(pipeline: Any, *_: Any, name: str = name) -> None:
            setattr(pipeline, name, 5.0)

        assert not torch.equal(run(pipe, callback).frames, run(pipe).frames)


def test_i5_returning_none_changes_nothing(pipe: MMDiffPipeline) -> None:
    assert torch.equal(run(pipe, lambda *_: None).frames, run(pipe).frames)


def test_i5_interrupt_stops_cleanly_and_only_this_call(pipe: MMDiffPipeline) -> None:
    steps = []

    def callback(pipeline: Any, index: int, timestep: Any, tensors: dict[str, Any]) -> None:
        steps.append(index)
        pipeline._interrupt = True

    run(pipe, callback, num_inference_steps=5)
    assert steps == [0] and pipe.interrupt
    run(pipe, lambda p, i, t, k: steps.append(i))
    assert steps == [0, 0, 1]


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ({"noise": torch.zeros(1)}, "returned 'noise'; it can return latents"),
        ({"audio_latents": torch.zeros(1)}, "name it in callback_on_step_end_tensor_inputs"),
        ({"latents": torch.zeros(2, 3)}, r"of shape \(2, 3\); it must stay \(1, 16, 3, 4, 4\)"),
    ],
)
def test_i5_what_cannot_go_on_is_an_error(
    pipe: MMDiffPipeline, returned: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        run(pipe, lambda *_: returned)


LATENTS = torch.zeros(1, 16, 3, 4, 4)
NO_TENSORS: list[tuple[Any, str]] = [
    (7, "returned a int; it must return tensors by name, such as .*, or None"),
    ([1], "returned a list; it must"),
    ("x", "returned a str; it must"),
    (True, "returned a bool; it must"),
    (torch.zeros(1), "returned a Tensor; it must"),
    ({"latents": None}, "returned latents as a NoneType; it must stay a tensor"),
    ({"latents": [1.0]}, "returned latents as a list; it must stay a tensor"),
    ({3: LATENTS}, "returned 3; it can return latents"),
    ({"latents": LATENTS.to("meta")}, "latents that .* returned is on the meta device"),
    ({"latents": LATENTS.to_sparse()}, r"latents that .* it must be dense: .*to_dense"),
    ({"latents": LATENTS.double()}, r"as torch.float64; it must stay torch.float32: latents.to"),
    ({"latents": LATENTS.long()}, r"as torch.int64; it must stay torch.float32"),
    ({"latents": LATENTS * torch.nan}, "returned latents with NaN or infinity"),
]


@pytest.mark.parametrize(("returned", "message"), NO_TENSORS)
def test_i5_what_is_no_tensor_to_go_on_with_is_an_error(
    pipe: MMDiffPipeline, returned: Any, message: str
) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        run(pipe, lambda *_: returned)


@pytest.mark.parametrize("callback", [7, "x", [print], torch.zeros(1)])
def test_i5_what_cannot_be_called_is_refused_before_the_first_step(
    pipe: MMDiffPipeline, callback: Any
) -> None:
    with pytest.raises(TypeError, match=r"callback_on_step_end is a .*; it must be a function of"):
        run(pipe, callback)


def test_i5_its_own_error_comes_through(pipe: MMDiffPipeline) -> None:
    def callback(*_: Any) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run(pipe, callback)


def test_names_that_do_not_exist_are_refused(pipe: MMDiffPipeline) -> None:
    with pytest.raises(ValueError, match="did you mean 'audio_latents'"):
        run(pipe, lambda *_: None, "audio_latent")


def test_diffusers_own_callback_classes_work(pipe: MMDiffPipeline) -> None:
    class Recorder(PipelineCallback):
        tensor_inputs = ["audio_latents"]

        def callback_fn(
            self, pipeline: Any, step_index: int, timesteps: Any, callback_kwargs: dict[str, Any]
        ) -> Any:
            seen.append(sorted(callback_kwargs))
            return callback_kwargs

    seen: list[list[str]] = []
    run(pipe, Recorder())
    assert seen == [["audio_latents"]] * 2
