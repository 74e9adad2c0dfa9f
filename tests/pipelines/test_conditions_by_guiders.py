"""Every condition of the tree by every guider of the tree: it runs; off, it is as if not there."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

import mmdiff
from mmdiff.apps.conf_tree import configuration_folder, options
from mmdiff.apps.targets import ALLOWED
from mmdiff.bounce.background_classifier import BackgroundClassifier
from mmdiff.bounce.dataset import random_prompts
from mmdiff.bounce.draw import draw
from mmdiff.guidance.text_guiders import TextGuider
from mmdiff.media.clip import Clip
from mmdiff.values.shapes import ClipShape
from tests.pipelines.tiny import tiny_components, tiny_pipeline
from tests.pipelines.tiny_clip import save_tiny_clip

TRUE = draw(random_prompts(1, 4)[0], ClipShape(num_frames=9, height=32, width=32))
SOUND = Clip(waveform=TRUE.waveform, sample_rate=TRUE.sample_rate)

# What a file of conf/condition leaves to its user: a condition without an entry here fails.
GIVEN: dict[str, dict[str, Any]] = {
    "extend": {"clip": TRUE, "after_seconds": 0.25},
    "first_frame": {"image": TRUE.frames[0]},
    "given_audio": {"clip": SOUND},
    "given_video": {"clip": TRUE},
    "inpaint": {"clip": TRUE, "mask": [8, 8, 24, 24], "seconds": [0.2, 0.4]},
    "keyframes": {"images": {0.0: TRUE.frames[0], 0.5: TRUE.frames[8]}},
    "outpaint": {"clip": TRUE, "mask": [8, 8, 24, 24]},
    "partial_noise": {"clip": TRUE, "strength": 0.6},
}
CONDITIONS = ("nothing", *options("condition"))
GUIDERS = options("guidance")


@pytest.fixture(scope="module")
def pipe() -> mmdiff.MMDiffPipeline:
    return tiny_pipeline()


@pytest.fixture(scope="module")
def guider(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """The guider of a file of conf/guidance, with what it leaves to its user."""
    folder: Path = tmp_path_factory.mktemp("clip")
    left: dict[str, Callable[[], dict[str, Any]]] = {
        "autoguidance": lambda: {"transformer": tiny_components(seed=1)["transformer"]},
        "classifier": lambda: {"classifier": BackgroundClassifier(), "target": 2},
        "clip": lambda: {"model": str(save_tiny_clip(folder))},
        "skip_layer": lambda: {"blocks": [1]},
    }

    @cache
    def build(name: str) -> Any:
        return _built("guidance", name, left.get(name, dict)())

    return build


def _built(group: str, name: str, values: dict[str, Any]) -> Any:
    """What the file describes, with `values` in the place of those it has."""
    node = OmegaConf.to_container(OmegaConf.load(configuration_folder() / group / f"{name}.yaml"))
    assert isinstance(node, dict)
    target = ALLOWED.target(node.pop("_target_"))
    return target(**(node | values))


def condition(name: str) -> list[Any]:
    return [] if name == "nothing" else [_built("condition", name, GIVEN[name])]


def off(guider: Any) -> Any:
    if isinstance(guider, TextGuider):
        return replace(guider, guidance_scale=1.0, audio_guidance_scale=None)
    return replace(guider, scale=0.0, audio_scale=0.0)


def made(pipe: mmdiff.MMDiffPipeline, name: str, guidance: list[Any], **scales: float) -> Clip:
    out = pipe(
        "a small red circle",
        generator=[torch.Generator().manual_seed(3)],
        conditions=condition(name),
        guidance=guidance,
        output_type="pt",
        **scales,
    )
    return out.clips[0]


def same(one: Clip, other: Clip) -> bool:
    return torch.equal(one.frames, other.frames) and torch.equal(one.waveform, other.waveform)


@pytest.fixture(scope="module")
def unguided(pipe: mmdiff.MMDiffPipeline) -> Callable[[str, bool], Clip]:
    """Without guiders: classifier-free guidance alone, or not even that."""

    @cache
    def make(name: str, has_text: bool) -> Clip:
        return made(pipe, name, [], guidance_scale=4.0 if has_text else 1.0)

    return make


@pytest.mark.parametrize("guidance", GUIDERS)
@pytest.mark.parametrize("name", CONDITIONS)
def test_it_runs_and_off_it_is_not_there(name, guidance, pipe, guider, unguided):
    one = guider(guidance)
    is_text = isinstance(one, TextGuider)
    scales = {} if is_text else {"guidance_scale": 4.0}
    clip = made(pipe, name, [one], **scales)
    assert clip.num_frames == (13 if name == "extend" else 9)
    assert clip.frames.float().std() > 0
    assert bool(clip.waveform.isfinite().all())
    assert same(made(pipe, name, [off(one)], **scales), unguided(name, not is_text))


@pytest.mark.parametrize("guidance", GUIDERS)
def test_on_it_changes_the_clip(guidance, pipe, guider, unguided):
    one = guider(guidance)
    is_text = isinstance(one, TextGuider)
    scales = {} if is_text else {"guidance_scale": 4.0}
    assert not same(made(pipe, "nothing", [one], **scales), unguided("nothing", not is_text))
