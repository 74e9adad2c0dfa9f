"""Guidance against models whose benefit and cost are known."""

from dataclasses import replace

import pytest
import torch

from mmdiff.bounce.studies.guided import UNITS, GuidedClips, GuidedSounds
from mmdiff.bounce.studies.variants import BASELINE, Variant
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
