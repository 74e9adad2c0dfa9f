"""Every file of the tree composes; its nodes name what exists, with arguments it takes."""

import pytest
from omegaconf import OmegaConf

from mmdiff.__main__ import VERBS, main
from mmdiff.apps.compose import composed, resolved
from mmdiff.apps.conf_tree import configuration_folder, groups_of, options, options_of
from mmdiff.apps.config import built, check_nodes, instantiate
from mmdiff.apps.targets import ALLOWED, OF_A_RUN, Allowed
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
def test_every_experiment_composes_and_leaves_a_run_that_can_be_exported(verb, experiment):
    config = plain(verb, f"experiment={experiment}", *FILL.get(experiment, []))
    check_nodes(config)
    path = configuration_folder() / "experiment" / f"{experiment}.yaml"
    assert len(path.read_text().splitlines()) <= 40
    if verb == "train":
        check_nodes({key: config[key] for key in ("module", "data")}, allowed=Allowed(OF_A_RUN))


def test_every_experiment_is_of_one_verb():
    assert sorted(name for _, name in EXPERIMENTS) == sorted(options("experiment"))


CHOICES = [
    (verb, group)
    for verb in VERBS
    for group in groups_of(verb)
    if group not in ("hydra", "experiment", "paths")
]


@pytest.mark.parametrize("verb, group", CHOICES)
def test_every_option_of_a_group_composes(verb, group):
    fill = [word for word in FILL.get(verb, []) if not word.startswith(f"{group}.")]
    for option in options(group):
        composed(verb, [*fill, f"{group}={option}"])


@pytest.mark.parametrize("group", sorted({group for _, group in CHOICES}))
def test_every_option_of_a_group_names_what_exists(group):
    # An option may interpolate what another group brings: only what stands in it is checked.
    for option in options(group):
        path = configuration_folder() / group / f"{option}.yaml"
        node = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
        node.pop("defaults", None)
        check_nodes(_without_open_values(node))


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
    made = instantiate(plain("generate", f"scheduler={scheduler}")["scheduler"])
    made.set_timesteps(4)
    assert len(made.timesteps) >= 4


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
    projected, frames = built(plain("generate", *words)["guidance"]).values()
    assert (projected.guidance_scale, frames.scale) == (4.0, 2)


def test_an_audio_scheduler_of_its_own():
    words = ["scheduler=flow_match_euler", "scheduler@audio_scheduler=unipc"]
    config = plain("generate", *words, "audio_scheduler.flow_shift=5.0")
    assert config["audio_scheduler"]["flow_shift"] == 5.0
    assert config["scheduler"]["shift"] == 3.0


def test_what_options_share_is_no_option():
    assert "folder" in options("data") and "_files" not in options("data")
    data = plain("data-check", "data.spec.height=96", "data.batch_size=2")["data"]
    assert (data["root"], data["spec"]["height"], data["spec"]["width"]) == ("a", 96, 64)


@pytest.mark.parametrize(
    "name", ["generate", "evaluate", "train", "encode", "export", "data-check"]
)
def test_modules_of_the_user_can_be_trusted_in_every_verb_that_builds(name):
    assert plain(name)["trust_modules"] == []
    assert ALLOWED.trusted == ()


def test_a_wrong_verb_is_reported(capsys):
    assert main(["genrate", "prompt=a"]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("mmdiff: there is no verb 'genrate'; the nearest is `mmdiff generate`")
