"""Every evaluation of the tree, from its YAML to its files, with a pipeline of tiny parts."""

import json

import pytest

from mmdiff.apps import evaluate as verb
from mmdiff.apps.compose import composed, resolved
from mmdiff.apps.conf_tree import options
from mmdiff.apps.config import checked_call
from tests.pipelines.tiny import tiny_pipeline

QUICK = [name for name in options("evaluation") if name.endswith("_quick")]
FEWEST = {
    "bounce_quick": [
        "evaluation.num_seen=1",
        "evaluation.num_held_out=1",
        "evaluation.num_reconstructed=1",
        "evaluation.num_other=0",
    ],
    "samplers_quick": [
        "evaluation.num_clips=1",
        "evaluation.studies.samplers.steps=[5]",
        "evaluation.studies.samplers.other_steps.ddpm_whole=[6]",
    ],
    "guidance_quick": [
        "evaluation.num_clips=1",
        "evaluation.studies.frame_consistency.step_shares=[1]",
    ],
}


def nodes(name):
    return resolved(composed("evaluate", [f"evaluation={name}"]), "evaluate")["evaluation"]


@pytest.mark.parametrize("name", QUICK)
def test_it_runs(name, tmp_path, monkeypatch, capsys):
    pipe = tiny_pipeline(default_num_frames=33 if name == "tasks_quick" else 9)
    before = pipe.scheduler
    monkeypatch.setattr(verb, "load_pipeline", lambda *_, **__: pipe)
    fewest = FEWEST.get(name, ["evaluation.num_clips=1"])
    words = [f"evaluation={name}", *fewest, f"output_dir={tmp_path}", "num_inference_steps=2"]
    assert checked_call(verb.evaluate, resolved(composed("evaluate", words), "evaluate")) == 0
    shown = capsys.readouterr().out
    written = json.loads((tmp_path / "evaluation.json").read_text())
    assert written["results"]
    assert "minutes" in shown
    assert pipe.scheduler is before
    if name != "bounce_quick":
        assert list(tmp_path.glob("*.png"))


@pytest.mark.parametrize("name", QUICK)
def test_the_quick_one_is_the_long_one_with_fewer_clips(name):
    long = nodes(name.removesuffix("_quick"))
    quick = nodes(name)
    assert quick.keys() == long.keys()
    assert quick["_target_"] == long["_target_"]
    if "studies" in long:
        assert quick["studies"].keys() == long["studies"].keys()
        assert quick["num_clips"] < long["num_clips"]
