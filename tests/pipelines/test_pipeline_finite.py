"""N5: NaN or infinity at inference is an error that names step and component, never a clip."""

from pathlib import Path
from typing import Any

import pytest
import torch

from mmdiff.apps import generate as verb
from mmdiff.conditioning.first_frame import FirstFrame
from mmdiff.loading.finite import NonFiniteOutput, finite
from mmdiff.pipelines.pipeline import MMDiffPipeline
from mmdiff.values.latents import ClipLatents
from tests.pipelines.tiny import tiny_pipeline

BAD = [torch.nan, torch.inf]


@pytest.fixture
def pipe() -> MMDiffPipeline:
    return tiny_pipeline()


def run(pipe: MMDiffPipeline, **arguments: Any) -> Any:
    settings = {"generator": torch.Generator().manual_seed(0), "output_type": "pt"}
    return pipe("red", **(settings | arguments))


def spoil(module: torch.nn.Module, value: float) -> None:
    """After loading: a bit that flipped, or training that went wrong."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(value)


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("text_encoder", r"^the text encoder made NaN or infinity, in clips \[0\] of 1"),
        ("transformer", r"^step 1 of 2: the denoiser \(video\) made NaN or infinity"),
        ("vae", r"^the video decoder \(vae\) made NaN or infinity"),
        ("audio_vae", r"^the audio decoder \(audio_vae\) made NaN or infinity"),
        ("vocoder", r"^the vocoder made NaN or infinity"),
    ],
)
def test_n5_the_component_with_bad_weights_is_named(
    pipe: MMDiffPipeline, part: str, said: str, value: float
) -> None:
    spoil(getattr(pipe, part), value)
    with pytest.raises(NonFiniteOutput, match=said):
        run(pipe)


@pytest.mark.parametrize("half", ["video", "audio"])
@pytest.mark.parametrize("value", BAD)
def test_n5_the_step_the_half_and_the_clips_are_named(
    pipe: MMDiffPipeline, half: Any, value: float
) -> None:
    """One clip of three goes bad in one half, at the second of three steps."""
    calls: list[int] = []

    def spoiled(_module: object, _inputs: object, output: ClipLatents) -> ClipLatents:
        calls.append(len(calls))
        if len(calls) == 2:
            (output.video if half == "video" else output.audio)[1, 0, 0, 0] = value
        return output

    pipe.transformer.register_forward_hook(spoiled)
    generators = [torch.Generator().manual_seed(seed) for seed in range(3)]
    with pytest.raises(
        NonFiniteOutput,
        match=rf"^step 2 of 3: the denoiser \({half}\) made .* in clips \[1\] of 3",
    ):
        pipe(["red"] * 3, generator=generators, num_inference_steps=3, guidance_scale=1.0)
    assert len(calls) == 2, "what comes after is not worth its time"


@pytest.mark.parametrize("name", ["latents", "audio_latents"])
@pytest.mark.parametrize("value", BAD)
def test_n5_bad_latents_are_refused_before_any_work(
    pipe: MMDiffPipeline, name: str, value: float
) -> None:
    shape = {"latents": (1, 16, 3, 4, 4), "audio_latents": (1, 8, 12, 16)}[name]
    given = torch.zeros(shape)
    given.view(-1)[-1] = value
    pipe.transformer.register_forward_pre_hook(lambda *_: pytest.fail("the model was called"))
    with pytest.raises(ValueError, match=f"{name} holds NaN or infinity"):
        run(pipe, **{name: given})


def test_n5_a_callback_that_returns_nan_is_told_so(pipe: MMDiffPipeline) -> None:
    def callback(_pipe: object, _index: int, _time: object, tensors: dict[str, Any]) -> Any:
        return {"latents": tensors["latents"] * torch.nan}

    with pytest.raises(ValueError, match="callback_on_step_end returned latents with NaN"):
        run(pipe, callback_on_step_end=callback)


def test_n5_an_encoder_of_what_is_given_is_named(pipe: MMDiffPipeline) -> None:
    spoil(pipe.vae, torch.nan)
    picture = FirstFrame(torch.zeros(32, 32, 3, dtype=torch.uint8))
    with pytest.raises(NonFiniteOutput, match=r"^the video encoder \(vae\)"):
        run(pipe, conditions=[picture])


@pytest.mark.parametrize("output_type", ["pil", "np", "pt"])
def test_n5_no_kind_of_output_hides_it(pipe: MMDiffPipeline, output_type: str) -> None:
    spoil(pipe.vocoder, torch.nan)
    with pytest.raises(NonFiniteOutput, match="vocoder"):
        run(pipe, output_type=output_type)


def test_n5_latents_are_checked_without_decoding_too(pipe: MMDiffPipeline) -> None:
    spoil(pipe.transformer, torch.nan)
    with pytest.raises(NonFiniteOutput, match="denoiser"):
        run(pipe, output_type="latent")


def test_n5_good_values_pass_as_they_are() -> None:
    values = torch.randn(2, 3)
    assert finite(values, "the model") is values


@pytest.fixture
def overflowing(tmp_path: Path) -> tuple[Path, str]:
    """Weights that are finite, and so pass the strict loader, and overflow in use."""
    pipe = tiny_pipeline()
    spoil(pipe.vocoder, 3e38)
    pipe.save_pretrained(tmp_path / "model")
    return tmp_path / "model", "the vocoder made NaN or infinity"


def test_n5_generate_leaves_no_file_and_fails(
    overflowing: tuple[Path, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, said = overflowing
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    words = [f"checkpoint={folder}", "device=cpu", "prompt=red"]
    for output in ("output=clip.mp4", "output_dir=clips"):
        assert verb.main([*words, output]) == 1
        shown = capsys.readouterr().err
        assert said in shown and "Traceback" not in shown
        assert not [path for path in work.rglob("*") if path.is_file()]
