"""What a user sees who asked wrongly: one screen, exit code 2, the nearest good word, and a hint
that works."""

import shlex
from importlib import import_module

import pytest

from mmdiff.__main__ import module_of
from mmdiff.apps import generate, train
from mmdiff.apps.compose import composed
from mmdiff.apps.overrides import first_of_sweeps, flags_and_overrides
from mmdiff.values.usage_error import UsageError
from tests.apps.keys import KEYS

SCHEDULERS = (
    "ddim, ddpm, deis, dpmpp_2m, dpmpp_2s, dpmpp_sde, euler, euler_ancestral, "
    "flow_match_euler, flow_match_heun, flow_match_lcm, heun, lcm, sa_solver, tcd, unipc"
)

# words of the command line -> the screen without its first words and its last line, which are the
# same for all
SCREENS = {
    "num_frame=17": "no key num_frame\n  nearest  num_frames=17",
    "seed=3 guidence_scale=2.0 'prompt=a, b'": (
        "no key guidence_scale\n  nearest  guidance_scale=2.0"
    ),
    "schedular=ddim": "no key schedular\n  nearest  scheduler=ddim",
    "scheduler=dimm": (
        "the group scheduler has no option dimm\n"
        f"  possible {SCHEDULERS}\n  nearest  scheduler=ddim"
    ),
    "trainer=gpu": "mmdiff generate has no group trainer\n  hint     mmdiff train trainer=gpu",
    "scheduler=ddim scheduler.clip_samples=false": (
        "no key scheduler.clip_samples: DDIMScheduler takes no clip_samples\n"
        "  possible num_train_timesteps, beta_start, beta_end, beta_schedule, trained_betas, "
        "clip_sample, set_alpha_to_one, steps_offset, prediction_type, thresholding, "
        "dynamic_thresholding_ratio, clip_sample_range, sample_max_value, timestep_spacing, "
        "rescale_betas_zero_snr\n"
        "  nearest  scheduler.clip_sample=false"
    ),
    "scheduler=ddim scheduler.beta_start=0.1": (
        "scheduler.beta_start is not in the file, but at its default\n"
        "  hint     +scheduler.beta_start=0.1"
    ),
    "guidance=projected +guidance.projected.etta=1.0": (
        "no key guidance.projected.etta: Projected takes no etta\n"
        "  possible guidance_scale, audio_guidance_scale, eta, norm_threshold, momentum, interval, "
        "schedule\n"
        "  nearest  guidance.projected.eta=1.0"
    ),
    "scheduler.shift=3": (
        "no key scheduler.shift: nothing of the group scheduler is chosen\n"
        f"  possible {SCHEDULERS}\n"
        "  hint     mmdiff generate scheduler=flow_match_euler scheduler.shift=3"
    ),
    "num_frames=abc": "num_frames is abc; possible is a whole number or null",
    "seed=1.5": "seed is 1.5; possible is a whole number",
    "scheduler=ddim scheduler.num_train_timesteps=many": (
        "scheduler.num_train_timesteps is many; possible is a whole number"
    ),
    "modalities=[vidoe]": (
        "modalities is ['vidoe']; possible is a list of ('video' or 'audio') or null\n"
        "  nearest  modalities=[video]"
    ),
    "prompt=a seed=-1": ("seed is -1; possible is 0 to 9223372036854775807\n  nearest  seed=0"),
    "+quality=9": "+quality adds a key that nothing reads; `+` is for arguments of a component",
    "++num_frame=9": (
        "+num_frame adds a key that nothing reads; `+` is for arguments of a component\n"
        "  nearest  num_frames=9"
    ),
    "'a red circle'": (
        "'a red circle' is not key=value: the = is missing\n  hint     prompt=\"a red circle\""
    ),
    "num_frames=": ("num_frames is empty: ''\n  hint     give num_frames a value, or leave it out"),
    "num_frames=17,33": (
        "num_frames=17,33 gives several values\n"
        "  hint     a list is written [1,2]; several runs: mmdiff generate -m num_frames=17,33"
    ),
    "modalities=[video,audio": (
        "the value in modalities=[video,audio cannot be read\n"
        "  hint     close every bracket and every quote; a text in [ ] or { } is quoted: "
        "{a: 'x y'}"
    ),
    "'output_dir=${path.outputs}'": (
        "output_dir cannot be resolved: Interpolation key 'path.outputs' not found\n"
        "  nearest  output_dir=${paths.outputs}"
    ),
    "~prmpt": "no key prmpt\n  nearest  prompt=null",
    "scheduler=ddim scheduler._target_=os.system": (
        "scheduler._target_ names os.system, which a configuration may not call\n"
        "  possible components of mmdiff, torch.optim and torch.nn, schedulers of diffusers, "
        "lightning.pytorch.{Trainer, callbacks, loggers, strategies, profilers}\n"
        "  hint     trust_modules=[os] if it is a module of your own"
    ),
    "scheduler=ddim scheduler._target_=diffusers.DDIMSheduler": (
        "scheduler._target_ names diffusers.DDIMSheduler, and diffusers has no DDIMSheduler\n"
        "  nearest  diffusers.DDIMScheduler"
    ),
    "-m num_frame=17,33": "no key num_frame\n  nearest  num_frames=17",
    "prompt=a output_dir=": (
        "output_dir is empty: ''\n  hint     give output_dir a value, or leave it out"
    ),
    "prompt=a \"paths.outputs=' '\"": (
        "paths.outputs is empty: ' '\n  hint     give paths.outputs a value, or leave it out"
    ),
    "prompt=a guidance_scale=nan": "guidance_scale is nan; possible is a finite number",
    "prompt=a guidance=projected guidance.projected.interval=[0,inf]": (
        "guidance.projected.interval[1] is inf; possible is a finite number"
    ),
    "": (
        "there is no prompt\n"
        '  hint     prompt="a small red circle bouncing up and down", or prompts=file.txt'
    ),
}


@pytest.mark.parametrize("line", SCREENS)
def test_a_wrong_override(line, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert generate.main(shlex.split(line)) == 2
    shown = capsys.readouterr().err.removeprefix("loading libraries\n")
    assert shown == f"mmdiff generate: {SCREENS[line]}\n  help     mmdiff generate --help\n"
    assert not list(tmp_path.iterdir())


VAE = "experiment=bounce/video_autoencoder"
# The same for `mmdiff train`: words -> what the screen must hold
OF_TRAIN = {
    "max_step=3": "no key max_step\n  nearest  max_steps=3",
    f"{VAE} trainer.max_step=3": "nearest  trainer.max_steps=3",
    "guidance=cfg": "mmdiff train has no group guidance",
    "experiment=tasks": "mmdiff evaluate experiment=tasks",
    "data.batchsize=3": "nearest  data.batch_size=3",
    "backbone.num_layers=3": "nothing of the group backbone is chosen",
    f"{VAE} +trainer.presicion=x": "nearest  trainer.precision=x",
    f"{VAE} strict_resume=often": "strict_resume is often; possible is true or false",
    f"{VAE} max_minutes=long": "max_minutes is long; possible is a number or null",
    f"{VAE} data.batch_size=big": "data.batch_size is big; possible is a whole number",
    f"{VAE} num_threads=0": "nearest  num_threads=1",
    f"{VAE} +callbacks.lr='{{every: 3}}'": "adds a key that nothing reads",
    f"{VAE} data._target_=os.system": "data._target_ names os.system, which a configuration may",
    "max_steps": "hint     max_steps=VALUE",
    "": "hint     mmdiff train experiment=",
}


@pytest.mark.parametrize("line", OF_TRAIN)
def test_a_wrong_override_of_train(line, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train, "run_here", lambda config: pytest.fail("it trained"))
    assert train.main(shlex.split(line)) == 2
    shown = capsys.readouterr().err
    assert OF_TRAIN[line] in shown and len(shown.splitlines()) <= 8
    assert not list(tmp_path.iterdir())


# verb and words, each wrong; what other tools call our keys among them -> what is meant
MISTAKES = {
    "generate steps=5": "num_inference_steps=5",
    "generate cfg=7.5": "guidance_scale=7.5",
    "generate guidance=7.5": "guidance_scale=7.5",
    "generate n=4": "num_clips=4",
    "generate model=runs/a": "checkpoint=runs/a",
    "generate 'img=cat (1).png'": "'image=cat (1).png'",
    "generate 'promt=a ball, a ping'": "'prompt=a ball, a ping'",
    "generate --seed=3": "seed=3",
    "generate --cfg-scale=3": "guidance_scale=3",
    "generate --multrun seed=1": "--multirun",
    "generate guidance.frame_consistency.scale=0.5": "guidance=frame_consistency",
    "generate scheduler=ddim scheduler.beta_strt=0.1": "+scheduler.beta_start=0.1",
    "generate scheduler=ddim +scheduler.beta_strt=0.1": "+scheduler.beta_start=0.1",
    "generate scheduler=ddim scheduler.beta_start=0.1": "+scheduler.beta_start=0.1",
    "generate ~prmpt": "prompt=null",
    "generate num_frames=17,33": "mmdiff generate -m num_frames=17,33",
    "generate 'a red ball'": 'prompt="a red ball"',
    "generate -m prompt=a seed=1,2 output=x.mp4": "output=x-${hydra:job.num}.mp4",
    "train lr=0.1": "optimizer.optimizer.lr=0.1",
    "train optimizer.lr=0.1": "optimizer.optimizer.lr=0.1",
    "train steps=5": "max_steps=5",
    "train batch_size=3": "data.batch_size=3",
    "train data=folder data.roots=clips": "data.root=clips",
    "train backbone.num_layers=3": "mmdiff train backbone=base backbone.num_layers=3",
    "train mixed_precision=bf16-mixed": "trainer.precision=bf16-mixed",
    "train epochs=3": "trainer.max_epochs=3",
    "train gpus=1": "trainer.devices=1",
    "train experiment=tasks": "mmdiff evaluate experiment=tasks",
    "train": "mmdiff train experiment=",
    "evaluate model=runs/a": "checkpoint=runs/a",
    "encode bs=4": "batch_size=4",
    "export": "mmdiff export diffusion_run=VALUE",
    "data-check root=clips": "data.root=clips",
    "data-check data.root=a data.spec.stretch=first": "data.spec.span=first",
    "data-check": "mmdiff data-check data.root=VALUE",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_every_hint_that_is_printed_works(line, capsys, monkeypatch, tmp_path):
    """The hint in the place of the wrong word, or the command that it is, composes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train, "run_here", lambda config: pytest.fail("it trained"))
    verb, *words = shlex.split(line)
    assert import_module(module_of(verb)).main(words) == 2
    shown = capsys.readouterr().err
    rows = dict(row.split(maxsplit=1) for row in shown.splitlines()[1:])
    hints = [rows[name] for name in ("nearest", "hint") if name in rows]
    assert MISTAKES[line] in " ".join(hints), shown
    for hint in hints:
        command = hint[hint.index("mmdiff ") :] if "mmdiff " in hint else ""
        if command:
            verb, *good = shlex.split(command)[1:]
        elif (right := shlex.split(hint)) and ("=" in right[0] or right[0].startswith("--")):
            name = right[0].lstrip("+").partition("=")[2]
            good = [*(word for word in words if name not in word and word[:1] != "~"), right[0]]
            good = [word for word in good if not word.startswith("--") or word == right[0]]
        else:
            continue
        _, overrides = flags_and_overrides(good, verb, KEYS[verb])
        composed(verb, first_of_sweeps(overrides), with_hydra=True)


@pytest.mark.parametrize("verb, other", [("train", "evaluate"), ("evaluate", "train")])
def test_an_experiment_of_another_verb_is_reported(verb, other):
    from mmdiff.apps.conf_tree import options_of

    experiment = f"experiment={options_of(other, 'experiment')[0]}"
    with pytest.raises(UsageError, match="has no option") as caught:
        composed(verb, [experiment])
    assert caught.value.hint == f"mmdiff {other} {experiment}"
