from mmdiff.bounce.studies.samplers import Bound, SamplerStudy
from tests.bounce.studies.stages import answered_stage


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
    (best,) = Bound(sampler="a", steps=15, other_steps=50).figures(found)
    assert (best.value, best.count) == (3.0, 2)
    assert "below b at 50" in best.name
    (toward,) = Bound(sampler="a", steps=15, other_steps=50, others=["b"]).figures(found)
    assert (toward.value, toward.count) == (3.0, 2)
    assert toward.is_met is False
    (below,) = Bound(sampler="a", steps=15, other_steps=50, others=["c"]).figures(found)
    assert below.value == -40
    assert below.is_met
    agreement = Bound(sampler="a", steps=15, other_steps=50, others=["c"], is_agreement=True)
    assert agreement.figures(found)[0].value == 40
    assert Bound(sampler="a", steps=9, other_steps=50).figures(found) == []
