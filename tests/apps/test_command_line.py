"""Words of a shell reach the configuration as they were meant."""

import random
import re

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from mmdiff.apps.command_line import flags_and_overrides
from mmdiff.apps.compose import composed
from mmdiff.apps.key_kinds import holds_path, kind_of, quoted, root_kinds
from mmdiff.apps.known_keys import leaves, options_of

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
    return flags_and_overrides([*before, word], "generate")[1][-1]


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


def test_a_prompt_quoted_for_hydra_is_left_as_it_is():
    assert through_hydra("prompt='a, b'") == "a, b"
    assert through_hydra('prompt="a, b"') == "a, b"


def test_null_is_null():
    assert meant("prompt=null") == "prompt=null"


NAMES = """\
IMG_0001 (1).mp4|clip, final.mp4|résumé.mp4|日本語.mp4|it's.mp4|a=b.mp4
a&b.mp4|a[1].mp4|a{1}.mp4|clip#2.mp4
 lead.mp4|a!b;c.mp4|😀.mp4|say "hi".mp4|2024|1e3|true
a:b.mp4|a%20b+c@d.mp4|back\\slash.mp4|~/clip.mp4
"""
NAMES = [name for line in NAMES.splitlines() for name in line.split("|")]
PATHS = [
    *(("generate", (), key) for key in ("output", "image", "checkpoint", "prompts", "output_dir")),
    ("generate", ("condition=extend",), "condition.clip"),
    ("generate", ("guidance=autoguidance",), "guidance.autoguidance.transformer"),
    ("encode", (), "vae"),
    ("export", (), "diffusion_run"),
    ("train", ("experiment=finetune/diffusion",), "data.dataset.folder"),
    ("train", ("experiment=bounce/diffusion", "data=folder"), "data.root"),
    ("train", (), "components.vae"),
    ("train", (), "callbacks.checkpoints.folder"),
    ("data-check", ("data=shards",), "data.urls"),
]


@pytest.mark.parametrize("verb, before, key", PATHS)
def test_a_key_that_holds_a_path_takes_any_name(verb, before, key):
    words = [*before, *(f"{key}={name}" for name in NAMES)]
    _, overrides = flags_and_overrides(words, verb)
    for name, override in zip(NAMES, overrides[len(before) :], strict=True):
        assert OverridesParser.create().parse_override(override).value() == name


@pytest.mark.parametrize(
    "verb, words",
    [(verb, ()) for verb in ("generate", "encode", "evaluate", "export", "doctor", "data-check")]
    + [("train", (f"experiment={name}",)) for name in options_of("train", "experiment")],
)
def test_what_a_path_interpolates_into_holds_a_path(verb, words):
    """Found without a list of names: its value is made of output_dir, paths or a bundled folder."""
    config = composed(verb, words)
    plain = OmegaConf.to_container(config, resolve=False)
    made_of = re.compile(
        r"\$\{(output_dir|paths\.\w+|bundled:\w*|components\.\w+|backbone.folder)\}"
    )
    paths = [key for key, value in leaves(config).items() if made_of.search(str(value))]
    assert paths
    for key in paths:
        assert holds_path(kind_of(key, plain, root_kinds(verb))), key


def test_a_number_and_a_text_hold_no_path():
    config = OmegaConf.to_container(composed("generate", ["condition=extend"]), resolve=False)
    for key in ("seed", "condition.before_seconds", "device", "prompt", "scheduler"):
        assert not holds_path(kind_of(key, config, root_kinds("generate"))), key


@pytest.mark.parametrize(
    "verb, words, value",
    [
        (
            "generate",
            ["condition=keyframes", "condition.images={0: a (1).png, 2.0: b,c.png}"],
            {0: "a (1).png", 2.0: "b,c.png"},
        ),
        (
            "data-check",
            ["data=several", "data.sources={films: ~/my films, talks: it's}"],
            {"films": "~/my films", "talks": "it's"},
        ),
        ("data-check", ["data=shards", "data.urls=[a (1).tar, b.tar]"], ["a (1).tar", "b.tar"]),
        ("generate", ["condition=outpaint", "condition.mask=[0,0,8,8]"], [0, 0, 8, 8]),
    ],
)
def test_paths_in_a_mapping_or_a_list_mean_themselves(verb, words, value):
    _, overrides = flags_and_overrides(words, verb)
    assert OverridesParser.create().parse_override(overrides[-1]).value() == value


def test_paths_keep_their_interpolations():
    assert meant("output_dir=runs/${now:%Y}") == "output_dir='runs/${now:%Y}'"
    assert meant("image=${output_dir}/a b.png") == "image='${output_dir}/a b.png'"


@pytest.mark.parametrize("word", ["num_frames=1,2", "modalities=[video]", "~prompt", "a b", "+x=1"])
def test_other_keys_keep_hydras_grammar(word):
    assert meant(word) == word


def test_a_comma_outside_quotes_sweeps_with_m_only():
    assert meant("prompt=a,b") == "prompt='a,b'"
    assert meant("prompt=a dog's ball, a (b)", "-m") == "prompt='a dog\\'s ball','a (b)'"
    assert meant("prompt='a, b',c", "-m") == "prompt='a, b','c'"
    assert meant("prompt='a, b'", "-m") == "prompt='a, b'"
    assert meant("image=a (1).png,b.png", "-m") == "image='a (1).png','b.png'"
    assert meant("image=choice(a.png,b.png)", "-m") == "image=choice(a.png,b.png)"


def test_quoted_is_one_string():
    assert quoted("it's") == "'it\\'s'"


def test_flags_may_stand_anywhere():
    flags, overrides = flags_and_overrides(
        [
            "seed=1",
            "--cfg",
            "job",
            "--config-dir=a b",
            "num_frames=5",
            "-m",
            "--info",
            "device=cpu",
        ],
        "generate",
    )
    assert (flags.cfg, flags.config_dir, flags.multirun, flags.info) == ("job", "a b", True, "all")
    assert overrides == ["seed=1", "num_frames=5", "device=cpu"]
    flags, _ = flags_and_overrides(["--info", "defaults", "-cn", "mine", "-cd", "."], "generate")
    assert (flags.info, flags.config_name, flags.config_dir) == ("defaults", "mine", ".")


def test_no_words_are_no_overrides():
    _, overrides = flags_and_overrides([], "evaluate")
    assert overrides == []
