"""Words of a shell reach the configuration as they were meant."""

import random

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from mmdiff.apps.cli import run_verb
from mmdiff.apps.overrides import flags_and_overrides, quoted
from tests.apps.keys import KEYS

AWKWARD = [
    "a small red circle bouncing left and right quickly on a black background, a high ping",
    "",
    " ",
    "it's \"quoted\", isn't it: {yes} [no] (maybe)?",
    "a=b, c=d",
    "${not.an.interpolation} and \\${neither}",
    "ends in a backslash \\",
    "'",
    "'half",
    "\\'",
    "line one\nline two\ttab",
    "émoji 😀 עברית",
    "#hash ~tilde +plus @at %percent",
    "1,2,3",
    "true",
    "'a' and 'b'",
]


def meant(word: str, *before: str) -> str:
    return flags_and_overrides([*before, word], "generate", KEYS["generate"])[1][-1]


def through_hydra(word: str, *before: str) -> str:
    override = OverridesParser.create().parse_override(meant(word, *before))
    return OmegaConf.create({"value": override.value()}).value


@pytest.mark.parametrize("text", AWKWARD)
def test_a_prompt_means_itself(text):
    assert through_hydra(f"prompt={text}") == text
    assert through_hydra(f"negative_prompt={text}") == text


def test_any_prompt_means_itself():
    draw = random.Random(0)
    letters = "ab ,:'\"\\${}=[]()\n\té😀~+#%/;."
    for _ in range(500):
        text = "".join(draw.choice(letters) for _ in range(draw.randint(0, 12)))
        if meant(f"prompt={text}") != f"prompt={text}":  # not quoted by the user already
            assert through_hydra(f"prompt={text}") == text


def test_what_is_quoted_for_hydra_and_null_stay_as_they_are():
    assert through_hydra("prompt='a, b'") == through_hydra('prompt="a, b"') == "a, b"
    assert meant("prompt=null") == "prompt=null"
    assert quoted("it's") == "'it\\'s'"


NAMES = """\
IMG_0001 (1).mp4|clip, final.mp4|résumé.mp4|日本語.mp4|it's.mp4|a=b.mp4
a&b.mp4|a[1].mp4|a{1}.mp4|clip#2.mp4
 lead.mp4|a!b;c.mp4|😀.mp4|say "hi".mp4|2024|1e3|true
a:b.mp4|a%20b+c@d.mp4|back\\slash.mp4
"""
NAMES = [name for line in NAMES.splitlines() for name in line.split("|")]
OF_GENERATE = [
    *("output", "image", "checkpoint", "prompts", "output_dir", "condition.clip"),
    "guidance.autoguidance.transformer",
]
OF_OTHERS = [
    ("encode", [], "vae"),
    ("export", ["diffusion_run=x"], "vae_run"),
    ("train", ["experiment=finetune/diffusion"], "data.dataset.folder"),
    ("train", [], "components.vae"),
    ("train", [], "callbacks.checkpoints.folder"),
    ("data-check", ["data=folder"], "data.root"),
]


def values(verb, words, keys):
    seen = []
    assert run_verb(verb, seen.append, words, keys=KEYS[verb]) == 0
    for key in keys:
        value = seen[0]
        for part in key.split("."):
            value = value[part]
        yield value


@pytest.mark.parametrize("name", [*NAMES, "~/clip.mp4"])
def test_a_key_that_holds_a_path_takes_any_name(name, monkeypatch):
    monkeypatch.setenv("HOME", "/home")
    words = ["condition=extend", "guidance=autoguidance", *(f"{key}={name}" for key in OF_GENERATE)]
    assert {*values("generate", words, OF_GENERATE)} == {name.replace("~/", "/home/")}


@pytest.mark.parametrize("verb, before, key", OF_OTHERS)
@pytest.mark.parametrize("name", ["IMG, it's (1).mp4", "2024"])
def test_of_any_verb(verb, before, key, name):
    assert [*values(verb, [*before, f"{key}={name}"], [key])] == [name]


@pytest.mark.parametrize(
    "verb, words, key, value",
    [
        (
            "generate",
            ["condition=keyframes", "condition.images={0: a (1).png, 2.0: b,c.png}"],
            "condition.images",
            {0: "a (1).png", 2.0: "b,c.png"},
        ),
        (
            "data-check",
            ["data=several", "data.sources={films: ~/my films, talks: it's}"],
            "data.sources",
            {"films": "/home/my films", "talks": "it's"},
        ),
        (
            "data-check",
            ["data=shards", "data.urls=[~/a (1).tar, b.tar]"],
            "data.urls",
            ["/home/a (1).tar", "b.tar"],
        ),
        (
            "generate",
            ["condition=outpaint", "condition.clip=a", "condition.mask=[0,0,8,8]"],
            "condition.mask",
            [0, 0, 8, 8],
        ),
    ],
)
def test_paths_in_a_mapping_or_a_list_mean_themselves(verb, words, key, value, monkeypatch):
    monkeypatch.setenv("HOME", "/home")
    assert [*values(verb, words, [key])] == [value]


def test_paths_keep_their_interpolations():
    assert meant("output_dir=runs/${now:%Y}") == "output_dir='runs/${now:%Y}'"
    assert meant("image=${output_dir}/a b.png") == "image='${output_dir}/a b.png'"


@pytest.mark.parametrize("word", ["num_frames=1,2", "modalities=[video]", "~prompt", "a b", "+x=1"])
def test_other_keys_keep_hydras_grammar(word):
    assert meant(word) == word


def test_a_group_of_which_nothing_is_wanted():
    assert meant("guidance=null") == "~guidance"


def test_a_comma_outside_quotes_sweeps_with_m_only():
    assert meant("prompt=a,b") == "prompt='a,b'"
    assert meant("prompt=a dog's ball, a (b)", "-m") == "prompt='a dog\\'s ball','a (b)'"
    assert meant("prompt='a, b',c", "-m") == "prompt='a, b',c"
    assert meant("prompt='a, b'", "-m") == "prompt='a, b'"
    assert meant("image=a (1).png,b.png", "-m") == "image='a (1).png',b.png"
    assert meant("image=choice(a.png,b.png)", "-m") == "image=choice(a.png,b.png)"


def test_flags_may_stand_anywhere():
    words = ["seed=1", "--cfg", "job", "--config-dir=a b", "num_frames=5", "-m", "--info", "x=y"]
    flags, overrides = flags_and_overrides(words, "generate", {})
    assert (flags.cfg, flags.config_dir, flags.multirun, flags.info) == ("job", "a b", True, "all")
    assert overrides == ["seed=1", "num_frames=5", "x=y"]
    words = ["--info", "defaults", "-cn", "mine", "-cd", "."]
    flags, _ = flags_and_overrides(words, "generate", {})
    assert (flags.info, flags.config_name, flags.config_dir) == ("defaults", "mine", ".")
