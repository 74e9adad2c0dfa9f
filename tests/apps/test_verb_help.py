"""--help of every verb, and what a shell completes."""

import os
import shutil
import subprocess
import sys
from importlib import import_module

import pytest

from mmdiff.__main__ import VERBS, module_of
from mmdiff.apps.compose import composed
from mmdiff.apps.conf_tree import verbs
from mmdiff.apps.verb_help import completions, verb_help

TINY = ["experiment=bounce/diffusion", "backbone=tiny", "text=tiny"]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb, capsys):
    assert import_module(module_of(verb)).main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert f"The keys of `mmdiff {verb}`" in shown and "output_dir: " in shown
    assert "defaults" not in shown.split("Flags")[0]
    assert {*verbs()} == {*VERBS}


def help_of(verb, words):
    return verb_help(verb, composed(verb, words, with_hydra=True))


def test_help_behind_overrides_is_of_what_they_choose():
    text = help_of("data-check", ["data=folder"])
    assert "  data.root=???\n" in text and "  data.spec.height=" in text
    assert "  data.allow_external=false\n" in text and "  +data.pin_memory=false\n" in text
    text = help_of("train", TINY)
    assert "  max_steps: 1000" in text and "  backbone.num_layers=2\n" in text
    assert "backbone.num_layers" not in help_of("train", [])


def test_completion_of_verbs_keys_groups_and_options():
    assert completions("mmdiff gen") == ["generate"]
    assert "train" in completions("mmdiff ")
    assert completions("mmdiff generate scheduler=ddi") == ["scheduler=ddim"]
    assert completions("mmdiff train experiment=bounce/diff") == ["experiment=bounce/diffusion"]
    assert "guidance.frame_consistency.scale=" in completions(
        'mmdiff generate prompt="a b" guidance=frame_consistency guidance.frame_consistency.s'
    )
    assert completions("mmdiff nonsense a") == []


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_a_bash_completes_mmdiff(tmp_path):
    """As a user has it: the script is read by eval, and the function that it installs is asked."""
    command = tmp_path / "mmdiff"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m mmdiff "$@"\n')
    command.chmod(0o755)
    script = """
    eval "$(mmdiff -sc install=bash)"
    complete -p mmdiff
    COMP_LINE="mmdiff generate num_fr"; COMP_POINT=${#COMP_LINE}; COMP_CWORD=2
    hydra_bash_completion; echo "${COMPREPLY[@]}"
    """
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    ended = subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True)
    assert "hydra_bash_completion mmdiff" in ended.stdout, ended.stderr
    assert ended.stdout.split()[-1] == "num_frames="
