"""Words of a shell reach the configuration as they were meant."""

import random

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from mmdiff.apps.command_line import flags_and_overrides, quoted, quoted_override

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


def through_hydra(word: str) -> str:
    override = OverridesParser.create().parse_override(quoted_override(word))
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
        if quoted_override(f"prompt={text}") != f"prompt={text}":  # not quoted by the user already
            assert through_hydra(f"prompt={text}") == text


def test_a_prompt_quoted_for_hydra_is_left_as_it_is():
    assert through_hydra("prompt='a, b'") == "a, b"
    assert through_hydra('prompt="a, b"') == "a, b"


def test_null_is_null():
    assert quoted_override("prompt=null") == "prompt=null"


@pytest.mark.parametrize("key", ["output", "prompts", "output_dir", "checkpoint", "a.cache_dir"])
def test_paths_may_hold_anything(key):
    assert through_hydra(f"{key}=my clips, (new)/a=b.mp4") == "my clips, (new)/a=b.mp4"


def test_paths_keep_their_interpolations():
    assert quoted_override("output_dir=runs/${now:%Y}") == "output_dir='runs/${now:%Y}'"


@pytest.mark.parametrize("word", ["num_frames=1,2", "modalities=[video]", "~prompt", "a b", "+x=1"])
def test_other_keys_keep_hydras_grammar(word):
    assert quoted_override(word) == word


def test_quoted_is_one_string():
    assert quoted("it's") == "'it\\'s'"


def test_flags_may_stand_anywhere():
    flags, overrides = flags_and_overrides(
        ["seed=1", "--cfg", "job", "num_frames=5", "-m", "--info", "a=1", "--info", "defaults"]
    )
    assert flags == ["--cfg", "job", "-m", "--info", "--info", "defaults"]
    assert overrides == ["seed=1", "num_frames=5", "a=1"]
