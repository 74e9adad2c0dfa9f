"""I7: what a user reads who asked for the impossible: what was got, where, and what to do.

Every row is a public call and the phrases that its message must hold, in this order.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

import mmdiff
from mmdiff.data.latent_cache import LatentCache
from mmdiff.loading.folder import pipeline_folder
from mmdiff.media.atomic import check_writable
from mmdiff.media.clip import Clip
from mmdiff.media.footage import exact_rate
from mmdiff.media.resample import pad, resize
from mmdiff.media.sidecar import encode_sidecar
from mmdiff.media.storyboard import save_storyboard
from mmdiff.media.writer import encode_video
from mmdiff.text.tokenizer import train_tokenizer
from mmdiff.training.checkpoint_folder import read_checkpoint
from mmdiff.training.warm_start import saved_vocoder
from mmdiff.values.shapes import LatentGrid
from tests.pipelines.tiny import tiny_pipeline

FRAMES = torch.zeros(2, 16, 16, 3, dtype=torch.uint8)
SOUND = torch.zeros(1, 100)
EMPTY = Path("/nowhere")
GOOD = {"prompt": "a", "num_inference_steps": 1, "output_type": "latent"}


@pytest.fixture(scope="module")
def pipe() -> mmdiff.MMDiffPipeline:
    return tiny_pipeline()


CALLS: dict[str, tuple[Callable[[], Any], list[str]]] = {
    "clip of nothing": (lambda: Clip(), ["needs frames, a waveform, or both", "neither"]),
    "clip of floats": (
        lambda: Clip(torch.zeros(2, 16, 16, 3)),
        ["frames are torch.float32", "must be torch.uint8", "0 to 255"],
    ),
    "clip channels first": (
        lambda: Clip(torch.zeros(2, 3, 16, 16, dtype=torch.uint8)),
        ["frames have shape (2, 3, 16, 16)", "must be (frames, height, width, 3)"],
    ),
    "clip of a list": (lambda: Clip([1]), ["frames is a list", "must be a uint8 tensor"]),
    "loud clip": (
        lambda: Clip(FRAMES, 16, SOUND + 2, 16_000),
        ["waveform peaks at 2", "must be in [-1, 1]", "divide it by 2"],
    ),
    "clip with NaN": (
        lambda: Clip(FRAMES, 16, SOUND * torch.nan, 16_000),
        ["waveform holds NaN", "finite numbers in [-1, 1]"],
    ),
    "clip without rate": (
        lambda: Clip(FRAMES, 16, SOUND),
        ["sample_rate is None", "positive int such as 16000"],
    ),
    "rate without clip": (
        lambda: Clip(FRAMES, 16, None, 16_000),
        ["sample_rate is 16000", "no waveform", "leave it None"],
    ),
    "clip turned": (
        lambda: Clip(FRAMES, 16, SOUND.T, 16_000),
        ["waveform has 100 channels", "(channels, samples)", "wrong way round"],
    ),
    "rate of text": (lambda: exact_rate("fast"), ["fps is 'fast'", "such as 16 or 30000/1001"]),
    "rate of zero": (lambda: exact_rate(0), ["fps is 0", "must be positive, such as 16"]),
    "missing media": (lambda: Clip.load("/nowhere/a.mp4"), ["/nowhere/a.mp4"]),
    "unknown suffix": (
        lambda: Clip(FRAMES).save("/tmp/a.avi"),
        ["/tmp/a.avi", "suffix '.avi'", ".mp4, .mov, .webm, .gif, .png, .jpg, .wav", "a.mp4"],
    ),
    "odd frames": (
        lambda: Clip(FRAMES[:, :15]).save("/tmp/a.mp4"),
        ["frames are 15 x 16", "even sides", "16 x 16", "resize and pad"],
    ),
    "sound as gif": (
        lambda: Clip(waveform=SOUND, sample_rate=16_000).save("/tmp/a.gif"),
        ["gif needs frames", "sound only", "save it as .wav or .mp4"],
    ),
    "missing folder": (
        lambda: check_writable("/nowhere/a.json"),
        ["cannot write /nowhere/a.json", "no folder /nowhere", "create it first"],
    ),
    "device": (lambda: check_writable("/dev/full"), ["/dev/full", "not a regular", "another path"]),
    "sound without rate": (
        lambda: encode_video(FRAMES, 16, "/tmp/a.mp4", audio=SOUND),
        ["audio was given without audio_sample_rate", "give it, such as 16000"],
    ),
    "storyboard as mp4": (
        lambda: save_storyboard(Clip(FRAMES), "/tmp/a.mp4"),
        ["/tmp/a.mp4", "it is a PNG: a.png"],
    ),
    "odd setting": (
        lambda: encode_sidecar("a.mp4", prompt="", seed=0, settings={"a": object()}),
        ["settings.a is a object", "numbers, strings, lists and mappings", "convert it"],
    ),
    "resize to nothing": (lambda: resize(FRAMES, 0, 8), ["size is 0 x 8", "at least 1 x 1"]),
    "pad to less": (
        lambda: pad(FRAMES, 8, 8),
        ["16 x 16 cannot be padded to 8 x 8", "at least 16 x 16"],
    ),
    "frames of a model": (
        lambda: LatentGrid().latent_frames(20),
        ["num_frames is 20", "1 + 4k", "17 or 21"],
    ),
    "no pipeline folder": (
        lambda: pipeline_folder("/nowhere/model"),
        ["no folder /nowhere/model", "model_index.json", "bundled model"],
    ),
    "small vocabulary": (
        lambda: train_tokenizer(["a"], vocab_size=10),
        ["vocab_size is 10", "at least 258"],
    ),
    "no checkpoint": (
        lambda: read_checkpoint(EMPTY / "step_00000001"),
        ["/nowhere/step_00000001", "no manifest.json", "never finished"],
    ),
    "no cache": (
        lambda: LatentCache(EMPTY).spec(),
        ["/nowhere", "no latent cache", "fill it with `mmdiff encode`"],
    ),
    "no component": (
        lambda: saved_vocoder("/nowhere"),
        ["/nowhere", "no component", "output_dir under components/"],
    ),
}


@pytest.mark.parametrize(("call", "phrases"), CALLS.values(), ids=CALLS)
def test_i7_messages_say_what_where_and_what_to_do(
    call: Callable[[], Any], phrases: list[str]
) -> None:
    with pytest.raises((ValueError, TypeError, OSError)) as caught:
        call()
    message = str(caught.value)
    place = 0
    for phrase in phrases:
        assert phrase in message[place:], message
        place = message.index(phrase, place) + len(phrase)
    assert len(message) < 500 and "\n" not in message


@pytest.mark.parametrize("value", [None, "", object(), [], {}, b"a", float("nan"), -1, 2**70, "x"])
def test_i7_no_assertion_and_no_index_error_reaches_the_user(
    pipe: mmdiff.MMDiffPipeline, value: Any
) -> None:
    names = ("height", "num_frames", "guidance_scale", "modalities", "generator", "latents")
    calls: list[Callable[[], Any]] = [
        lambda: Clip(value),
        lambda: Clip(FRAMES, value),
        lambda: Clip(FRAMES, 16, value, value),
        lambda: exact_rate(value),
        *[lambda name=name: pipe(**(GOOD | {name: value})) for name in names],
    ]
    for call in calls:
        with suppress(ValueError, TypeError, OSError):
            call()
