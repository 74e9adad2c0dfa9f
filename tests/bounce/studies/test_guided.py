"""Guidance against models whose benefit and cost are known."""

from dataclasses import replace

import pytest
import torch

from mmdiff.bounce.studies.guided import (
    BASELINE,
    UNITS,
    GuidedClips,
    GuidedSounds,
    Variant,
    side_by_side,
)
from mmdiff.bounce.studies.truth import Asked
from mmdiff.guidance.backbone_guiders import ModalityGuidance
from mmdiff.guidance.frame_consistency import FrameConsistency
from tests.bounce.studies.stages import answered_stage

STEADY, FROZEN = (Variant(guiders=[FrameConsistency(scale)], is_bound=True) for scale in (1, 2))


@pytest.fixture(scope="module")
def guided(tmp_path_factory):
    """The tables of a model whose clips flicker, unless guidance makes them steady, or freezes
    them."""
    folder = tmp_path_factory.mktemp("guided")

    def answer(truth, asked):
        (one,) = [g for g in stage.calls[-1]["guidance"] if isinstance(g, FrameConsistency)]
        frames = truth.clip.frames.clone().int()
        if one.scale == 0:
            frames[::2] += 12
        if one.scale == 2:
            frames = frames[:1].repeat(33, 1, 1, 1)
        return replace(truth.clip, frames=frames.clamp(0, 255).to(torch.uint8))

    stage = answered_stage(answer, folder, num_clips=4)
    variants = {"steady": STEADY, "frozen": FROZEN}
    study = GuidedClips(variants=variants, step_shares=(0.5,), wanted_cost=1e6)
    found = list(study.results(stage))
    assert (folder / "guidance_2_steps.png").is_file()
    return found


def test_what_steadies_is_found_to_steady(guided):
    base, steady, _ = guided
    assert steady.is_met
    assert steady.value("flicker down") > 50
    assert steady.value("flicker") < base.value("flicker")
    assert steady.value("adherence lost") <= 0
    assert abs(steady.value("motion range lost")) < 5
    assert base.name == "classifier-free_alone_2"
    assert all(figure.wanted is None for figure in base.figures)


def test_a_frozen_clip_is_steady_and_still_fails(guided):
    *_, found = guided
    assert found.value("flicker down") == pytest.approx(100, abs=0.1)
    assert found.value("motion range lost") == pytest.approx(100, abs=0.1)
    assert found.value("adherence lost") > 1
    failed = [figure.name for figure in found.figures if figure.is_met is False]
    assert failed == ["adherence lost", "motion range lost"]


def test_only_bound_variants_are_held_to_the_bounds():
    study = GuidedClips(variants={"bound": STEADY, "free": replace(STEADY, is_bound=False)})
    base = dict.fromkeys(UNITS, 10.0)
    worse, least = dict.fromkeys(UNITS, 8.0), {"warp error": 5.0, "flicker": 9.5}
    bound, free = (study.changes(worse, base, least, name) for name in study.variants)
    assert [figure.is_met for figure in bound if figure.wanted] == [False, False, False, True]
    assert all(figure.wanted is None for figure in free)
    assert [figure.value for figure in bound] == pytest.approx([20, 20, 40, 400, 20, 2, 20, 0.8])


def test_sounds_that_guidance_brings_into_time_are_found(tmp_path):
    def late(truth, asked):
        if any(g.scale > 0 for g in stage.calls[-1]["guidance"]):
            return truth.clip
        return replace(truth.clip, waveform=torch.roll(truth.clip.waveform, 3200, dims=1))

    stage = answered_stage(late, tmp_path)
    study = GuidedSounds(variants={"on": Variant(guiders=[ModalityGuidance(1.0)])})
    (result,) = study.results(stage)
    name = "impacts with a ping within 62 ms"
    assert result.value(f"on: {name}") > 95
    assert result.value(f"{BASELINE}: {name}") < 50


def test_every_variant_sees_every_clip_in_turn(tmp_path):
    variants = {
        "a": Variant(guiders=[FrameConsistency(1.5)]),
        "b": Variant(guiders=[ModalityGuidance(2.0)]),
    }
    stage = answered_stage(lambda truth, asked: truth.clip, tmp_path, num_clips=20)
    truths = stage.truths()
    found, seconds = side_by_side(
        stage,
        "x",
        truths,
        lambda truth: Asked(truth.prompt),
        variants,
        lambda made: made.truth,
        num_inference_steps=3,
    )
    assert list(found) == [BASELINE, "a", "b"]
    assert all(measured == truths for measured in found.values())
    assert seconds.keys() == found.keys()
    on = []
    for call in stage.calls:
        scales = {type(guider).__name__: guider.scale for guider in call["guidance"]}
        assert set(scales) == {"FrameConsistency", "ModalityGuidance"}
        on.append("".join(name[0] for name, scale in scales.items() if scale > 0))
        assert call["num_inference_steps"] == 3
    assert on[0] == ""  # the call that loads
    assert on[1:7] == ["", "F", "M", "F", "M", ""]  # another is first in the next batch
