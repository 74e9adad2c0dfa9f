"""Every file of the tree composes; its nodes name what exists, with arguments it takes."""

import subprocess
import sys

import pytest
from omegaconf import OmegaConf

from mmdiff.__main__ import VERBS, module_of
from mmdiff.apps.compose import built, check_nodes, composed, instantiate, resolved
from mmdiff.apps.known_keys import (
    configuration_folder,
    groups,
    groups_of,
    home_of,
    keys_of_files,
    options,
    options_of,
)
from mmdiff.guidance.named_scales import Guidance
from mmdiff.values.usage_error import UsageError

FILL = {  # values that only the user knows
    "export": ["diffusion_run=a"],
    "data-check": ["data.root=a"],
    "finetune/video_autoencoder": ["data.root=a"],
    "finetune/audio_autoencoder": ["data.root=a"],
    "finetune/diffusion": ["data.dataset.folder=a"],
}
EXPERIMENTS = [
    (verb, name) for verb in ("train", "evaluate") for name in options_of(verb, "experiment")
]


def plain(verb, *words):
    return resolved(composed(verb, [*FILL.get(verb, []), *words]), verb)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_composes(verb):
    config = plain(verb)
    assert "output_dir" in config
    check_nodes(config)


@pytest.mark.parametrize("verb, experiment", EXPERIMENTS)
def test_every_experiment_composes(verb, experiment):
    config = plain(verb, f"experiment={experiment}", *FILL.get(experiment, []))
    check_nodes(config)
    path = configuration_folder() / "experiment" / f"{experiment}.yaml"
    assert len(path.read_text().splitlines()) <= 40


def test_every_experiment_is_of_one_verb():
    assert sorted(name for _, name in EXPERIMENTS) == sorted(options("experiment"))


@pytest.mark.parametrize("verb, other", [("train", "evaluate"), ("evaluate", "train")])
def test_an_experiment_of_another_verb_is_told(verb, other):
    experiment = options_of(other, "experiment")[0]
    with pytest.raises(
        UsageError, match=f"experiment={experiment} is not for mmdiff {verb}"
    ) as told:
        composed(verb, [f"experiment={experiment}"])
    assert told.value.cure == f"mmdiff {other} experiment={experiment}"


CHOICES = [
    (verb, group, option)
    for verb in VERBS
    for group in groups_of(verb)
    if group not in ("hydra", "experiment", "_self_")
    for option in options(group)
]


@pytest.mark.parametrize("verb, group, option", CHOICES, ids=lambda value: str(value))
def test_every_option_names_what_exists(verb, group, option):
    # An option may interpolate what another group brings: only what stands in it is checked.
    path = configuration_folder() / group / f"{option}.yaml"
    node = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    node.pop("defaults", None)
    check_nodes(_without_open_values(node))
    fill = [word for word in FILL.get(verb, []) if not word.startswith(f"{group}.")]
    composed(verb, [*fill, f"{group}={option}"])


def _without_open_values(node):
    if isinstance(node, dict):
        kept = {key: _without_open_values(value) for key, value in node.items()}
        kept = {key: value for key, value in kept.items() if value not in ("???", "OPEN")}
        return {**kept, "_partial_": True} if "_target_" in kept else kept
    if isinstance(node, list):
        return [_without_open_values(value) for value in node]
    return "OPEN" if isinstance(node, str) and "${" in node else node


@pytest.mark.parametrize("scheduler", options("scheduler"))
def test_every_scheduler_is_built_and_runs(scheduler):
    built = instantiate(plain("generate", f"scheduler={scheduler}")["scheduler"])
    built.set_timesteps(4)
    assert len(built.timesteps) >= 4


@pytest.mark.parametrize("guidance", options("guidance"))
def test_every_guidance_is_built(guidance, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    of_the_user = {
        "autoguidance": {"transformer": tmp_path},
        "classifier": {"classifier.model": "microsoft/resnet-18", "target": 3},
    }.get(guidance, {})
    words = [f"guidance.{guidance}.{key}={value}" for key, value in of_the_user.items()]
    node = plain("generate", f"guidance={guidance}", *words)["guidance"]
    assert list(node) == [guidance], "its file begins with # @package guidance.NAME"
    for word in words:
        others = [other for other in words if other != word]
        with pytest.raises(UsageError, match=word.split("=")[0]):
            plain("generate", f"guidance={guidance}", *others)
    if guidance == "classifier":
        check_nodes(node)  # built, it would read weights
    else:
        assert isinstance(built(node)[guidance], Guidance)


def test_several_guiders_at_once():
    words = ["guidance=[projected,frame_consistency]", "guidance.frame_consistency.scale=2"]
    node = plain("generate", *words)["guidance"]
    projected, frames = built(node).values()
    assert (projected.guidance_scale, frames.scale) == (4.0, 2)


def test_an_audio_scheduler_of_its_own():
    words = ["scheduler=flow_match_euler", "scheduler@audio_scheduler=unipc"]
    config = plain("generate", *words, "audio_scheduler.flow_shift=5.0")
    assert config["audio_scheduler"]["flow_shift"] == 5.0
    assert config["scheduler"]["shift"] == 3.0


def test_every_key_and_group_is_known():
    assert keys_of_files()["num_inference_steps"] == "conf/evaluate.yaml"
    assert keys_of_files()["scheduler.flow_shift"].startswith("conf/scheduler/")
    assert {"scheduler", "guidance", "experiment", "trainer"} <= set(groups())


def test_what_options_share_is_no_option_and_is_where_its_keys_belong():
    assert "folder" in options("data") and "_files" not in options("data")
    homes = {"data.root": "folder", "data.spec.height": "_files", "data.no_such_key": "folder"}
    for key, name in homes.items():
        assert home_of(key, verb="train", choices={"data": "folder"}) == f"conf/data/{name}.yaml"
    data = plain("data-check", "data.spec.height=96", "data.batch_size=2")["data"]
    assert (data["root"], data["spec"]["height"], data["spec"]["width"]) == ("a", 96, 64)
    with pytest.raises(UsageError, match=r"data\._target_"):
        plain("train", "data=_files")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb, capsys):
    from importlib import import_module

    assert import_module(module_of(verb)).main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert VERBS[verb] in shown
    assert "output_dir" in shown
    assert "defaults" not in shown.split("Flags")[0]


def test_hydras_flags_work(capsys, tmp_path, monkeypatch):
    from mmdiff.apps.run import run_verb

    monkeypatch.chdir(tmp_path)
    seen = []
    words = ["num_frames=5", "--cfg", "job", "--resolve", "prompt=a, b"]
    assert run_verb("generate", seen.append, words) == 0
    assert "prompt: a, b" in capsys.readouterr().out
    assert run_verb("generate", seen.append, ["--info", "defaults"]) == 0
    assert "paths/default" in capsys.readouterr().out
    assert not seen
    assert run_verb("generate", seen.append, ["-m", "seed=1,2", "prompt='a, b'"]) == 0
    assert [config["seed"] for config in seen] == [1, 2]
    assert [config["prompt"] for config in seen] == ["a, b", "a, b"]
    assert len({config["output_dir"] for config in seen}) == 2
    assert run_verb("generate", seen.append, ["--config-name", "evaluate", "seed=7"]) == 0
    assert "evaluation" in seen[-1]


def test_an_unknown_flag_is_told(capsys):
    from mmdiff.apps.run import run_verb

    assert run_verb("generate", print, ["--multrun", "seed=1"]) == 2
    assert "there is no flag --multrun" in capsys.readouterr().err


def test_a_folder_of_the_users_own(tmp_path, monkeypatch):
    from mmdiff.apps.run import run_verb

    monkeypatch.chdir(tmp_path)
    (tmp_path / "guidance").mkdir()
    text = "_target_: mmdiff.guidance.text_guiders.ClassifierFree\nguidance_scale: 9.0\n"
    (tmp_path / "guidance" / "strong.yaml").write_text(text)
    seen = []
    words = ["--config-dir", str(tmp_path), "guidance=strong"]
    assert run_verb("generate", seen.append, words) == 0
    assert seen[0]["guidance"]["guidance_scale"] == 9.0
    assert not (tmp_path / "outputs").exists()


def test_a_pickle_is_not_rerun(capsys):
    from mmdiff.apps.run import run_verb

    assert run_verb("generate", print, ["--experimental-rerun", "x.pickle"]) == 2
    assert "refused" in capsys.readouterr().err


def test_a_wrong_verb_is_told(capsys):
    ended = subprocess.run(
        [sys.executable, "-m", "mmdiff", "genrate", "prompt=a"], capture_output=True, text=True
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("mmdiff: there is no verb 'genrate'; the nearest is")
    assert "Traceback" not in ended.stderr
