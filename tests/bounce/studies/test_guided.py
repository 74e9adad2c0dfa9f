"""Guidance, energies apart, and samplers, against models whose benefit and cost are known."""

from dataclasses import replace

import pytest
import torch

from mmdiff.bounce.studies.guided_clips import SECONDS, GuidedClips
from mmdiff.bounce.studies.guided_sounds import GuidedSounds
from mmdiff.bounce.studies.sampler_study import Bound, SamplerStudy, bounded
from mmdiff.bounce.studies.variant import BASELINE, Variant, side_by_side
from mmdiff.guidance.backbone_guiders import ModalityGuidance
from mmdiff.guidance.frame_consistency import FrameConsistency
from tests.bounce.studies.stages import AnsweredStage, answered_stage

VARIANT = Variant(guiders=[FrameConsistency(1.5)], is_bound=True)


def scale_of(stage: AnsweredStage) -> float:
    """Of frame-consistency guidance in the call that is being answered."""
    (one,) = [g for g in stage.calls[-1]["guidance"] if isinstance(g, FrameConsistency)]
    return one.scale


def guided(tmp_path, steady, *, study=None):
    """The tables of a model whose clips flicker, unless guidance makes them `steady`."""

    def answer(truth, asked):
        if scale_of(stage) > 0:
            return steady(truth)
        frames = truth.clip.frames.clone().int()
        frames[::2] += 12
        return replace(truth.clip, frames=frames.clamp(0, 255).to(torch.uint8))

    stage = answered_stage(answer, tmp_path, num_clips=4)
    study = study or GuidedClips(variants={"steady": VARIANT}, step_shares=(0.5,), wanted_cost=1e6)
    return list(study.results(stage)), stage


def test_what_steadies_is_found_to_steady(tmp_path):
    (base, steady), _ = guided(tmp_path, lambda truth: truth.clip)
    assert steady.is_met
    assert steady.value("flicker down") > 50
    assert steady.value("flicker") < base.value("flicker")
    assert steady.value("adherence lost") <= 0
    assert abs(steady.value("motion range lost")) < 5
    assert base.name == "classifier-free_alone_2"
    assert (tmp_path / "guidance_2_steps.png").is_file()


def test_a_frozen_clip_is_steady_and_still_fails(tmp_path):
    def frozen(truth):
        return replace(truth.clip, frames=truth.clip.frames[:1].repeat(33, 1, 1, 1))

    (_, found), _ = guided(tmp_path, frozen)
    assert found.value("flicker down") == pytest.approx(100, abs=0.1)
    assert found.value("motion range lost") == pytest.approx(100, abs=0.1)
    assert found.value("adherence lost") > 1
    failed = [figure.name for figure in found.figures if figure.is_met is False]
    assert failed == ["adherence lost", "motion range lost"]


def test_every_variant_sees_every_clip_in_turn(tmp_path):
    variants = {"a": VARIANT, "b": Variant(guiders=[ModalityGuidance(2.0)])}
    stage = answered_stage(lambda truth, asked: truth.clip, tmp_path, num_clips=20)
    truths = stage.truths()
    made = list(
        side_by_side(
            stage,
            truths,
            lambda truth: None,
            variants=variants,
            settings={"num_inference_steps": 3},
            label="x",
        )
    )
    assert [batch.name for batch in made[:3]] == [BASELINE, "a", "b"]
    assert [batch.name for batch in made[3:6]] == ["a", "b", BASELINE]
    for name in (BASELINE, "a", "b"):
        mine = [batch for batch in made if batch.name == name]
        assert [truth for batch in mine for truth in batch.truths] == truths
    for call in stage.calls:
        scales = {type(guider).__name__: guider.scale for guider in call["guidance"]}
        assert set(scales) == {"FrameConsistency", "ModalityGuidance"}
        assert sum(scale > 0 for scale in scales.values()) <= 1
        assert call["num_inference_steps"] == 3


def test_only_bound_variants_are_held_to_the_bounds(tmp_path):
    study = GuidedClips(variants={"free": replace(VARIANT, is_bound=False)}, step_shares=(1.0,))
    (base, free), _ = guided(tmp_path, lambda truth: truth.clip, study=study)
    assert all(figure.wanted is None for figure in (*base.figures, *free.figures))
    assert free.value(SECONDS) > 0


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


def test_each_scheduler_is_in_the_pipeline_only_while_it_is_measured(tmp_path):
    seen = []

    def answer(truth, asked):
        seen.append(stage.run.pipe.scheduler)
        return truth.clip

    stage = answered_stage(answer, tmp_path)
    study = SamplerStudy(
        samplers={"one": "1", "two": "2"},
        steps=(3, 5),
        other_steps={"two": [7]},
        other_clips={"two": 2},
        bounds=[Bound(sampler="two", steps=7, others=["one"], other_steps=5)],
    )
    one, two, together = study.results(stage)
    assert seen == ["1"] * 12 + ["2"] * 2
    assert stage.run.pipe.scheduler == "own"
    assert [call["num_inference_steps"] for call in stage.calls] == [3, 5, 7]
    assert one.value("5 steps: mean of the attributes") > 95
    assert {figure.count for figure in two.figures} == {2}
    assert together.figures[0].count == 2
    assert together.is_met
    assert (tmp_path / "samplers.png").is_file()


def test_bounds_compare_the_same_prompts_with_the_best():
    found = {"a": {15: [90.0, 90.0]}, "b": {50: [93.0, 93.0, 0.0]}, "c": {50: [50.0]}}
    (best,) = bounded(Bound(sampler="a", steps=15, other_steps=50), found)
    assert (best.value, best.count) == (3.0, 2)
    assert "below b at 50" in best.name
    (toward,) = bounded(Bound(sampler="a", steps=15, other_steps=50, others=["b"]), found)
    assert (toward.value, toward.count) == (3.0, 2)
    assert toward.is_met is False
    (below,) = bounded(Bound(sampler="a", steps=15, other_steps=50, others=["c"]), found)
    assert below.value == -40
    assert below.is_met
    agreement = Bound(sampler="a", steps=15, other_steps=50, others=["c"], is_agreement=True)
    assert bounded(agreement, found)[0].value == 40
    assert bounded(Bound(sampler="a", steps=9, other_steps=50), found) == []
