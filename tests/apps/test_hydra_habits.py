"""What the hands of Hydra's users do: its flags, folders, completion, launchers and sweepers."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mmdiff.apps import doctor, generate
from mmdiff.apps.completion import completions
from mmdiff.apps.compose import ConfigFolders, composed, instantiate
from mmdiff.apps.run import run_verb
from mmdiff.apps.verb_help import verb_help
from mmdiff.values.usage_error import UsageError

TINY = ["experiment=bounce/diffusion", "backbone=tiny", "text=tiny"]


def seen_by(verb, words):
    seen = []
    assert run_verb(verb, seen.append, words) == 0
    return seen


def test_hydras_run_dir_is_the_output_dir(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (config,) = seen_by("generate", ["hydra.run.dir=out (1)/${hydra.job.name}"])
    assert config["output_dir"] == "out (1)/generate"
    swept = seen_by(
        "generate", ["-m", "seed=1,2", "hydra.sweep.dir=s", "hydra.sweep.subdir=${seed}"]
    )
    assert [Path(one["output_dir"]).parts[-2:] for one in swept] == [("s", "1"), ("s", "2")]


def test_a_tilde_is_the_home_folder_in_every_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    words = ["image=~/a (1).png", "output_dir=~/out", "paths.outputs=~/all", "prompt=~/no path"]
    (config,) = seen_by(
        "generate", [*words, "condition=keyframes", "condition.images={0: ~/k.png}"]
    )
    home = str(tmp_path / "home")
    assert config["image"] == f"{home}/a (1).png" and config["output_dir"] == f"{home}/out"
    assert config["condition"]["images"] == {0: f"{home}/k.png"}
    assert config["prompt"] == "~/no path"
    swept = seen_by("generate", ["-m", "seed=1,2", "output_dir=~/sweep"])
    assert [one["output_dir"] for one in swept] == [f"{home}/sweep/0", f"{home}/sweep/1"]
    assert os.listdir(tmp_path) == ["home"]


def test_folders_and_files_of_the_users_own(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my conf" / "guidance").mkdir(parents=True)
    mine = "_target_: mmdiff.guidance.backbone_guiders.Autoguidance\ntransformer: ???\n"
    (tmp_path / "my conf" / "guidance" / "mine.yaml").write_text(mine)
    (tmp_path / "my conf" / "root.yaml").write_text("defaults: [generate, _self_]\nseed: 7\n")
    words = ["--config-dir=my conf", "guidance=mine", "guidance.transformer=a (1), b"]
    (config,) = seen_by("generate", words)
    assert config["guidance"]["transformer"] == "a (1), b"
    assert (
        len(
            seen_by(
                "generate",
                ["-m", "--config-dir", "my conf", "guidance=mine", "guidance.transformer=a,b"],
            )
        )
        == 2
    )
    (config,) = seen_by("generate", ["-cd", "my conf", "-cn", "root"])
    assert config["seed"] == 7
    assert generate.main(["--info", "seed=3"]) == 0
    assert "Config search path" in capsys.readouterr().out
    assert generate.main(["-cd", "nowhere"]) == 2
    assert "--config-dir nowhere is no folder" in capsys.readouterr().err


def test_one_file_for_all_jobs_of_a_sweep_is_refused_before_the_first(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    words = ["-m", "prompt=a", "seed=0,1"]
    assert run_verb("generate", lambda _: pytest.fail("it ran"), [*words, "output=x.mp4"]) == 2
    assert "every job of -m would write output=x.mp4" in capsys.readouterr().err
    swept = seen_by("generate", [*words, "output=x-${hydra:job.num}.mp4"])
    assert [one["output"] for one in swept] == ["x-0.mp4", "x-1.mp4"]
    assert len(seen_by("generate", ["-m", "output=a.mp4,b.mp4"])) == 2


@pytest.mark.parametrize(
    "word, names",
    [
        ("logger=csv", ["CSVLogger"]),
        ("logger=tensorboard", ["TensorBoardLogger"]),
        ("logger=[csv,tensorboard]", ["CSVLogger", "TensorBoardLogger"]),
        ("logger=null", []),
        ("~logger", []),
        ("logger.csv.name=mine", ["CSVLogger", "TensorBoardLogger"]),
    ],
)
def test_loggers_are_a_group(word, names, tmp_path):
    (config,) = seen_by("train", [*TINY, word, f"output_dir={tmp_path}"])
    loggers = [instantiate(node) for node in (config.get("logger") or {}).values()]
    assert [type(one).__name__ for one in loggers] == names


def test_a_callback_is_added_as_a_node():
    word = "+callbacks.lr={_target_: lightning.pytorch.callbacks.LearningRateMonitor}"
    (config,) = seen_by("train", [*TINY, word])
    assert type(instantiate(config["callbacks"]["lr"])).__name__ == "LearningRateMonitor"
    with pytest.raises(UsageError, match="nothing reads"):
        composed("train", ["+callbacks.lr={every: 3}"])


def test_help_behind_overrides_is_of_what_they_choose():
    folders = ConfigFolders()
    text = verb_help("data-check", ["data=folder"], folders=folders)
    assert "data.root=???" in text and "data.metadata=null" in text
    assert "data.allow_external=false" in text and "let names and links lead out" in text
    text = verb_help("train", TINY, folders=folders)
    assert "max_steps=1400" in text and "backbone.num_layers=2 " in text
    assert "backbone" not in verb_help("train", [], folders=folders).split("Groups")[0]


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


def test_jobs_run_in_processes_of_joblib(tmp_path, capfd):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    words = ["-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    asked = [*words, "min_free_gigabytes=0,1", f"output_dir={tmp_path}", "checkpoint=/nowhere"]
    assert doctor.main(asked) == 1  # the exit code of its worst job
    assert {"0", "1"} <= set(os.listdir(tmp_path))
    assert "Traceback" not in capfd.readouterr().err


def test_a_sweeper_is_given_the_value_of_each_job(tmp_path):
    """What `mmdiff train` gives is what an optimising sweeper makes small."""
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    words = ["-m", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=4", "hydra.sweeper.n_jobs=1"]
    seen = []

    def action(config):
        seen.append(config["guidance_scale"])
        return (config["guidance_scale"] - 3.0) ** 2

    space = "guidance_scale=interval(1,5)"
    assert run_verb("generate", action, [*words, space, f"output_dir={tmp_path}"]) == 0
    best = (tmp_path / "optimization_results.yaml").read_text()
    assert f"best_value: {min((one - 3.0) ** 2 for one in seen)}" in best


@pytest.mark.parametrize("value", ["1" + "0" * 39, "-" + "9" * 40, "9" * 5000, "1e400"])
@pytest.mark.parametrize("key", ["encode dataset.num_clips", "generate seed", "train max_steps"])
def test_a_number_too_large_is_one_screen(key, value, capsys):
    verb, name = key.split()
    assert run_verb(verb, lambda _: pytest.fail("it ran"), [f"{name}={value}"]) == 2
    screen = capsys.readouterr().err
    assert "Traceback" not in screen and len(screen.splitlines()) < 8
