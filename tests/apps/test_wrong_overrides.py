"""I1: what a user sees who asked wrongly, as golden texts: one screen, exit code 2."""

import shlex
from importlib import import_module

import pytest

from mmdiff.__main__ import module_of
from mmdiff.apps.command_line import first_of_sweeps, flags_and_overrides
from mmdiff.apps.compose import composed
from mmdiff.apps.run import run_call

SCHEDULERS = (
    "ddim, ddpm, deis, dpmpp_2m, dpmpp_2s, dpmpp_sde, euler, euler_ancestral, "
    "flow_match_euler, flow_match_heun, flow_match_lcm, heun, lcm, sa_solver, tcd, unipc"
)
PROJECTED_TAKES = (
    "guidance_scale, audio_guidance_scale, eta, norm_threshold, momentum, interval, schedule"
)
DDIM_TAKES = (
    "num_train_timesteps, beta_start, beta_end, beta_schedule, trained_betas, clip_sample, "
    "set_alpha_to_one, steps_offset, prediction_type, thresholding, dynamic_thresholding_ratio, "
    "clip_sample_range, sample_max_value, timestep_spacing, rescale_betas_zero_snr"
)

# words of the command line -> the screen without its last line, which is the same for all
SCREENS = {
    "misspelt_leaf": (
        ["num_frame=17"],
        """\
mmdiff generate: there is no key 'num_frame'
  got      num_frame=17
  belongs  num_frames is in conf/generate.yaml
  nearest  num_frames=17""",
    ),
    "misspelt_leaf_beside_good_ones": (
        ["seed=3", "guidence_scale=2.0", "prompt=a, b"],
        """\
mmdiff generate: there is no key 'guidence_scale'
  got      guidence_scale=2.0
  belongs  guidance_scale is in conf/generate.yaml
  nearest  guidance_scale=2.0""",
    ),
    "misspelt_group": (
        ["schedular=ddim"],
        f"""\
mmdiff generate: there is no key 'schedular'
  got      schedular=ddim
  belongs  scheduler is a group: {SCHEDULERS}
  nearest  scheduler=ddim""",
    ),
    "misspelt_option": (
        ["scheduler=dimm"],
        f"""\
mmdiff generate: the group scheduler has no option dimm
  got      scheduler=dimm
  belongs  conf/scheduler/: {SCHEDULERS}
  nearest  scheduler=ddim""",
    ),
    "group_of_another_verb": (
        ["trainer=gpu"],
        """\
mmdiff generate: mmdiff generate has no group trainer
  got      trainer=gpu
  belongs  trainer is a group of mmdiff train""",
    ),
    "misspelt_argument": (
        ["scheduler=ddim", "scheduler.clip_samples=false"],
        f"""\
mmdiff generate: DDIMScheduler takes no argument 'clip_samples'
  got      scheduler.clip_samples=false
  belongs  it takes {DDIM_TAKES}
  nearest  scheduler.clip_sample=false""",
    ),
    "argument_not_in_the_file": (
        ["scheduler=ddim", "scheduler.beta_start=0.1"],
        """\
mmdiff generate: scheduler.beta_start is at its default and not in the file
  got      scheduler.beta_start=0.1
  cure     +scheduler.beta_start=0.1""",
    ),
    "misspelt_added_argument": (
        ["guidance=projected", "+guidance.projected.etta=1.0"],
        f"""\
mmdiff generate: Projected takes no argument 'etta'
  got      guidance.projected.etta=1.0
  belongs  it takes {PROJECTED_TAKES}
  nearest  guidance.projected.eta=1.0""",
    ),
    "argument_without_its_group": (
        ["scheduler.shift=3"],
        f"""\
mmdiff generate: scheduler.shift belongs to the group scheduler, and no option of it is selected
  got      scheduler.shift=3
  belongs  conf/scheduler/: {SCHEDULERS}
  cure     mmdiff generate scheduler=flow_match_euler scheduler.shift=3""",
    ),
    "text_for_a_number": (
        ["num_frames=abc"],
        """\
mmdiff generate: num_frames is abc; possible is a whole number or null
  got      num_frames=abc
  belongs  num_frames is in conf/generate.yaml""",
    ),
    "fraction_for_a_whole_number": (
        ["seed=1.5"],
        """\
mmdiff generate: seed is 1.5; possible is a whole number
  got      seed=1.5
  belongs  seed is in conf/generate.yaml""",
    ),
    "wrong_type_in_a_component": (
        ["scheduler=ddim", "scheduler.num_train_timesteps=many"],
        """\
mmdiff generate: scheduler.num_train_timesteps is many; possible is a whole number
  got      scheduler.num_train_timesteps=many
  belongs  scheduler.num_train_timesteps is in conf/scheduler/ddim.yaml""",
    ),
    "wrong_member_of_a_closed_set": (
        ["modalities=[vidoe]"],
        """\
mmdiff generate: modalities is ['vidoe']; possible is a list of ('video' or 'audio') or null
  got      modalities=['vidoe']
  belongs  modalities is in conf/generate.yaml
  nearest  modalities=[video]""",
    ),
    "out_of_range": (
        ["prompt=a", "seed=-1"],
        """\
mmdiff generate: seed is -1; possible is 0 to 9223372036854775807
  got      seed=-1
  belongs  seed is in conf/generate.yaml
  nearest  seed=0""",
    ),
    "new_key": (
        ["+quality=9"],
        """\
mmdiff generate: +quality adds a key that nothing reads; `+` is for arguments of a component
  got      +quality=9""",
    ),
    "forced_new_key": (
        ["++num_frame=9"],
        """\
mmdiff generate: +num_frame adds a key that nothing reads; `+` is for arguments of a component
  got      ++num_frame=9
  nearest  num_frames=9""",
    ),
    "missing_equals": (
        ["a small red circle"],
        """\
mmdiff generate: 'a small red circle' is not key=value: the = is missing
  got      a small red circle
  cure     prompt="a small red circle\"""",
    ),
    "missing_value": (
        ["num_frames="],
        """\
mmdiff generate: num_frames is empty
  got      num_frames=''
  belongs  num_frames is in conf/generate.yaml
  cure     give num_frames a value, or leave it out""",
    ),
    "stray_comma": (
        ["num_frames=17,"],
        """\
mmdiff generate: the value of 'num_frames' cannot be read
  got      num_frames=17,
  cure     num_frames=17""",
    ),
    "several_values": (
        ["num_frames=17,33"],
        """\
mmdiff generate: num_frames got several values
  got      num_frames=17,33
  cure     a list is written [1,2]; several runs are asked for with: """
        "mmdiff generate -m num_frames=17,33",
    ),
    "open_bracket": (
        ["modalities=[video,audio"],
        """\
mmdiff generate: the value of 'modalities' cannot be read
  got      modalities=[video,audio
  cure     modalities=[video,audio]""",
    ),
    "unknown_interpolation": (
        ["output_dir=${path.outputs}"],
        """\
mmdiff generate: output_dir cannot be resolved: Interpolation key 'path.outputs' not found
  got      output_dir=${path.outputs}
  belongs  output_dir is in conf/generate.yaml
  nearest  output_dir=${paths.outputs}""",
    ),
    "unknown_deletion": (
        ["~prmpt"],
        """\
mmdiff generate: there is no key 'prmpt'
  got      ~prmpt
  belongs  prompt is in conf/generate.yaml
  nearest  prompt=null""",
    ),
    "forbidden_target": (
        ["scheduler=ddim", "scheduler._target_=os.system"],
        """\
mmdiff generate: scheduler._target_ names os.system, which a configuration may not call
  got      scheduler._target_=os.system
  belongs  configurations call components of mmdiff.*, torch.optim.*, """
        "schedulers of diffusers, and "
        "lightning.pytorch.{Trainer, callbacks, loggers, strategies, profilers}",
    ),
    "misspelt_target": (
        ["scheduler=ddim", "scheduler._target_=diffusers.DDIMSheduler"],
        """\
mmdiff generate: scheduler._target_ names diffusers.DDIMSheduler, and diffusers has no DDIMSheduler
  got      scheduler._target_=diffusers.DDIMSheduler
  nearest  diffusers.DDIMScheduler""",
    ),
    "sweep_with_a_wrong_key": (
        ["-m", "num_frame=17,33"],
        """\
mmdiff generate: there is no key 'num_frame'
  got      num_frame=17
  belongs  num_frames is in conf/generate.yaml
  nearest  num_frames=17""",
    ),
    "empty_folder": (
        ["prompt=a", "output_dir="],
        """\
mmdiff generate: output_dir is empty
  got      output_dir=''
  belongs  output_dir is in conf/generate.yaml
  cure     give output_dir a value, or leave it out""",
    ),
    "empty_root_of_all_outputs": (
        ["prompt=a", "paths.outputs=' '"],
        """\
mmdiff generate: paths.outputs is empty
  got      paths.outputs=' '
  belongs  paths.outputs is in conf/paths/default.yaml
  cure     give paths.outputs a value, or leave it out""",
    ),
    "not_a_number": (
        ["prompt=a", "guidance_scale=nan"],
        """\
mmdiff generate: guidance_scale is nan; possible is a finite number
  got      guidance_scale=nan
  belongs  guidance_scale is in conf/generate.yaml""",
    ),
    "infinity_in_a_list": (
        ["prompt=a", "guidance=projected", "guidance.projected.interval=[0,inf]"],
        """\
mmdiff generate: guidance.projected.interval[1] is inf; possible is a finite number
  got      guidance.projected.interval[1]=inf
  belongs  guidance.projected.interval is in conf/guidance/projected.yaml""",
    ),
    "out_of_range_of_a_scheduler": (
        ["prompt=a", "scheduler=euler", "scheduler.num_train_timesteps=-1"],
        """\
mmdiff generate: scheduler.num_train_timesteps is -1; possible is a number from 1 to 100000
  got      scheduler.num_train_timesteps=-1
  belongs  scheduler.num_train_timesteps is in conf/scheduler/euler.yaml
  nearest  scheduler.num_train_timesteps=1""",
    ),
    "neither_prompt_nor_prompts": (
        [],
        """\
mmdiff generate: there is no prompt
  belongs  prompt is in conf/generate.yaml
  cure     prompt="a small red circle bouncing up and down", or prompts=file.txt""",
    ),
}


@pytest.mark.parametrize("words, screen", SCREENS.values(), ids=SCREENS)
def test_i1_wrong_override(words, screen, capsys, monkeypatch, tmp_path):
    from mmdiff.apps.generate import generate

    monkeypatch.chdir(tmp_path)
    code = run_call("generate", generate, words)
    shown = capsys.readouterr()
    assert shown.err.rstrip("\n") == f"{screen}\n  help     mmdiff generate --help"
    assert code == 2
    assert not list(tmp_path.iterdir())


VAE = "experiment=bounce/video_autoencoder"
# The same kinds for `mmdiff train`: words -> what the screen must hold
OF_TRAIN = {
    "misspelt_leaf": (["max_step=3"], "no key 'max_step'", "nearest  max_steps"),
    "misspelt_leaf_of_a_group": ([VAE, "trainer.max_step=3"], "max_step", "nearest  trainer."),
    "misspelt_group": (["optimzer=adamw"], "no key 'optimzer'", "optimizer is a group: adamw"),
    "misspelt_option": (["optimizer=adamm"], "no option adamm", "nearest  optimizer=adamw"),
    "group_of_another_verb": (["guidance=cfg"], "no group guidance", "mmdiff generate"),
    "experiment_of_another_verb": (["experiment=tasks"], "not for mmdiff train", "mmdiff evaluate"),
    "misspelt_argument": (["data.batchsize=3"], "no argument 'batchsize'", "data.batch_size"),
    "argument_without_its_group": (
        ["backbone.num_layers=3"],
        "belongs to the group backbone",
        "cure",
    ),
    "misspelt_added_argument": (
        [VAE, "+trainer.presicion=x"],
        "no argument 'presicion'",
        "nearest",
    ),
    "new_key": (["+quality=9"], "+quality adds a key that nothing reads", "component"),
    "text_for_a_number": ([VAE, "max_steps=many"], "max_steps is many", "a whole number"),
    "fraction_for_a_whole_number": ([VAE, "seed=1.5"], "seed is 1.5", "a whole number"),
    "text_for_a_switch": ([VAE, "strict_resume=often"], "strict_resume is often", "true or false"),
    "text_for_minutes": ([VAE, "max_minutes=long"], "max_minutes is long", "a number or null"),
    "wrong_type_in_a_component": ([VAE, "data.batch_size=big"], "data.batch_size is big", "whole"),
    "out_of_range": ([VAE, "num_threads=0"], "num_threads is 0", "nearest  num_threads=1"),
    "negative_seed": ([VAE, "seed=-1"], "seed is -1", "nearest  seed=0"),
    "missing_equals": (["max_steps"], "the = is missing", "cure     max_steps=VALUE"),
    "stray_comma": (["max_steps=3,"], "cannot be read", "cure     max_steps=3"),
    "several_values": (["max_steps=3,4"], "several values", "mmdiff train -m max_steps=3,4"),
    "open_bracket": (["components={vae:a"], "cannot be read", "cure     components={vae:a}"),
    "unknown_interpolation": (["output_dir=${path.x}"], "cannot be resolved", "output_dir is in"),
    "unknown_deletion": (["~max_step"], "no key 'max_step'", "nearest  ~max_steps"),
    "forbidden_target": ([VAE, "data._target_=os.system"], "os.system", "may not call"),
    "nothing_chosen": ([], "nothing to train was chosen", "cure     mmdiff train experiment="),
}


@pytest.mark.parametrize("words, problem, help_with_it", OF_TRAIN.values(), ids=OF_TRAIN)
def test_i1_wrong_override_of_train(words, problem, help_with_it, capsys, monkeypatch, tmp_path):
    from mmdiff.apps import train

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train, "run_here", lambda config: pytest.fail("it trained"))
    code = train.main(words)
    shown = capsys.readouterr().err
    assert shown.startswith("mmdiff train: ")
    assert problem in shown
    assert help_with_it in shown
    assert len(shown.splitlines()) <= 8
    assert code == 2
    assert not list(tmp_path.iterdir())


# Values that trained in the wrong direction, did nothing, or ended in a traceback: the override and
# what the screen says is possible
OUT_OF_RANGE_OF_TRAIN = {
    "trainer.gradient_clip_val=-1": "from 0 on, 0 or null for no clipping",
    "trainer.gradient_clip_val=nan": "a finite number",
    "trainer.accumulate_grad_batches=0": "from 1 on",
    "trainer.log_every_n_steps=-1": "from 0 on",
    "trainer.max_epochs=0": "from 1 on, or -1 for no end",
    "trainer.limit_train_batches=0": "above 0",
    "trainer.val_check_interval=0": "above 0",
    "trainer.num_sanity_val_steps=-2": "from 0 on, or -1 for all",
    "trainer.gradient_clip_algorithm=sum": "norm",
    "+trainer.num_nodes=2": "1 without torchrun",
    "trainer.accelerator=tpu": "auto or cpu",
    "trainer.precision=64-true": "32-true, bf16-mixed or 16-mixed",
    "trainer.devices=0": "a whole number from 1 to 1024, or auto",
    "trainer.devices=[]": "",
    "trainer.devices=[0,0]": "",
    "trainer.devices=[-1]": "",
    "trainer.devices=[0,1]": "",
    "optimizer.optimizer.lr=-1": "above 0",
    "optimizer.optimizer.lr=0": "above 0",
    "optimizer.optimizer.lr=nan": "a finite number",
    "optimizer.optimizer.lr=inf": "a finite number",
    "optimizer.optimizer.adamw_lr=[1]": "a number",
    "optimizer.optimizer.adamw_lr=-1": "above 0",
    "optimizer.optimizer.weight_decay=-0.1": "from 0 on",
    "+optimizer.optimizer.momentum=1": "from 0 and below 1",
    "+optimizer.optimizer.betas=[0.9,1]": "from 0 and below 1",
    "+optimizer.optimizer.ns_steps=0": "from 1 to 99",
    "optimizer.lr_scheduler.total_steps=0": "from 1 on",
    "optimizer.lr_scheduler.warmup_fraction=2": "from 0 to 1",
    "max_minutes=-1": "0 to 10000000",
    "max_steps=0": "1 to 1000000000",
    "output_dir=''": "",
    "resume=": "",
    "paths.outputs=''": "",
    "components.vae=' '": "",
    "callbacks.checkpoints.folder=''": "",
}


@pytest.mark.parametrize("word", OUT_OF_RANGE_OF_TRAIN)
def test_i1_out_of_range_of_train(word, capsys, monkeypatch, tmp_path):
    from mmdiff.apps import train

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train, "run_here", lambda config: pytest.fail("it trained"))
    monkeypatch.setattr(train, "save_resolved", lambda *_: pytest.fail("it wrote"))
    code = train.main([VAE, word])
    shown = capsys.readouterr().err.removeprefix("loading libraries\n")
    key = word.lstrip("+").split("=")[0]
    assert shown.startswith(f"mmdiff train: {key} is ")
    assert OUT_OF_RANGE_OF_TRAIN[word] in shown
    assert f"got      {key}=" in shown
    assert len(shown.splitlines()) <= 6
    assert code == 2
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name, value",
    [
        *(("logger", "false"), ("callbacks", "[]"), ("plugins", "[]"), ("max_time", "00:00:10:00")),
        *(("default_root_dir", "a"), ("enable_checkpointing", "false"), ("barebones", "true")),
    ],
)
def test_i1_what_train_gives_the_trainer_is_not_given_twice(name, value, capsys, monkeypatch):
    from mmdiff.apps import train

    monkeypatch.setattr(train, "save_resolved", lambda *_: pytest.fail("it wrote"))
    assert train.main([VAE, f"+trainer.{name}={value}"]) == 2
    shown = capsys.readouterr().err
    assert f"trainer.{name} is given by mmdiff train itself" in shown
    assert "cure" in shown


def test_i1_two_ends_of_one_run_are_told(capsys, monkeypatch):
    from mmdiff.apps import train

    monkeypatch.setattr(train, "save_resolved", lambda *_: pytest.fail("it wrote"))
    assert train.main([VAE, "max_steps=30", "trainer.max_steps=20"]) == 2
    shown = capsys.readouterr().err
    assert "trainer.max_steps is 20 and max_steps 30" in shown
    assert "cure     max_steps=20" in shown


SIZES_OF = {
    "autoencoder=video": ["latent_channels", "encoder_widths", "decoder_widths", "encoder_blocks"],
    "autoencoder=audio": ["mel_bins", "latent_channels", "fine_width", "num_blocks"],
    "vocoder=small": ["mel_bins", "hop_length", "width", "hidden", "output_sampling_rate"],
    "backbone=tiny": [
        *("num_attention_heads", "attention_head_dim", "num_layers", "ffn_ratio", "patch_size"),
        *("video_channels", "audio_channels", "audio_rows", "audio_patch_size"),
        *("frames_per_slice", "time_attention_every"),
    ],
    "mel=default": ["hop_length", "mel_bins", "sample_rate"],
    "critic=video": ["network.width"],
    "critic=spectrogram": ["network.width", "network.n_ffts"],
}
SIZES = [(option, name) for option, names in SIZES_OF.items() for name in names]


@pytest.mark.parametrize("option, name", SIZES, ids=lambda value: str(value))
@pytest.mark.parametrize("wrong", [-1, 0, 10**9])
def test_i1_sizes_that_no_layer_has_are_told_by_name(option, name, wrong):
    from mmdiff.apps.compose import composed, instantiate, resolved
    from mmdiff.values.usage_error import UsageError

    group = option.split("=")[0]
    node = resolved(composed("train", [option, "text=tiny"]), "train")[group]
    *parents, last = name.split(".")
    place = node
    for parent in parents:
        place = place[parent]
    is_list = isinstance(place[last], list)
    if (last[-6:], wrong) == ("blocks", 0) or (last, wrong) == ("ffn_ratio", 10**9):
        return  # legal, or as much as there is memory
    place[last] = [wrong, *place[last][1:]] if is_list else wrong
    with pytest.raises(UsageError, match=rf"^\w*{last}( is|, )"):
        instantiate(node)


def test_i1_a_constructor_of_another_library_is_told_whatever_it_raises(tmp_path):
    from mmdiff.apps.compose import instantiate
    from mmdiff.values.usage_error import UsageError

    trainer = {"_target_": "lightning.pytorch.Trainer", "accelerator": "cpu", "logger": False}
    with pytest.raises(UsageError, match=r"Trainer cannot be built .*profiler"):
        instantiate(trainer, profiler="stopwatch", default_root_dir=str(tmp_path))


@pytest.mark.parametrize(
    "words, name",
    [
        (
            ["objective=diffusion", "+objective.modality_weights={video: -1}"],
            "modality_weights.video",
        ),
        (["objective=diffusion", "+objective.shifts={audio: 0}"], "shifts.audio"),
        (["objective=diffusion", "objective.time_density.standard_deviation=0"], "standard_dev"),
        (["objective=reconstruction", "+objective.kl_weight=-1"], "kl_weight"),
        (["objective=reconstruction", "+objective.contrast_window=10"], "contrast_window"),
        (["objective=audio_reconstruction", "+objective.squared_weight=-1"], "squared_weight"),
        (["objective=vocoder", "+objective.n_ffts=[128,0]"], "n_ffts"),
        (["objective=vocoder", "+objective.linear_weight=-2"], "linear_weight"),
        (["callbacks.progress.every_n_steps=0"], "every_n_steps"),
        (["callbacks.components.every_n_steps=-1"], "every_n_steps"),
        (["callbacks.guard.max_skips=-1"], "max_skips"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_i1_what_would_train_away_from_what_is_wanted_is_refused(words, name):
    from mmdiff.apps.compose import composed, instantiate, resolved
    from mmdiff.values.usage_error import UsageError

    config = resolved(composed("train", ["noise_schedule=flow", *words]), "train")
    nodes = [config.get("objective"), *config["callbacks"].values()]
    with pytest.raises(UsageError, match=f"{name}.* is .*; it must be "):
        [instantiate(node) for node in nodes if node is not None]


# verb and words, each wrong; what other tools call our keys among them -> what is meant
MISTAKES = {
    "generate steps=5": "num_inference_steps=5",
    "generate cfg=7.5": "guidance_scale=7.5",
    "generate guidance=7.5": "guidance_scale=7.5",
    "generate frames=17": "num_frames=17",
    "generate n=4": "num_clips=4",
    "generate model=runs/a": "checkpoint=runs/a",
    "generate 'img=cat (1).png'": "'image=cat (1).png'",
    "generate 'promt=a ball, a ping'": "'prompt=a ball, a ping'",
    "generate --seed=3": "seed=3",
    "generate --cfg-scale=3": "guidance_scale=3",
    "generate --multrun seed=1": "--multirun",
    "generate guidance.frame_consistency.scale=0.5": "guidance=frame_consistency",
    "generate scheduler.shft=2": "mmdiff generate scheduler=flow_match_euler scheduler.shift=2",
    "generate scheduler.beta_start=0.1": "scheduler.beta_start=0.1",
    "generate scheduler=ddim scheduler.beta_strt=0.1": "+scheduler.beta_start=0.1",
    "generate scheduler=ddim +scheduler.beta_strt=0.1": "+scheduler.beta_start=0.1",
    "generate scheduler=ddim scheduler.beta_start=0.1": "+scheduler.beta_start=0.1",
    "generate ~prmpt": "prompt=null",
    "generate 'modalities=[video,audio'": "modalities=[video,audio]",
    "generate num_frames=17,33": "mmdiff generate -m num_frames=17,33",
    "generate 'a red ball'": 'prompt="a red ball"',
    "generate -m prompt=a seed=1,2 output=x.mp4": "output=x-${hydra:job.num}.mp4",
    "train lr=0.1": "optimizer.optimizer.lr=0.1",
    "train optimizer.lr=0.1": "optimizer.optimizer.lr=0.1",
    "train steps=5": "max_steps=5",
    "train batch_size=3": "data.batch_size=3",
    "train fps=8": "mmdiff train data=folder data.spec.frame_rate=8",
    "train root=clips": "mmdiff train data=folder data.root=clips",
    "train data=folder data.roots=clips": "data.root=clips",
    "train backbone.layers=3": "backbone.num_layers=3",
    "train mixed_precision=bf16-mixed": "trainer.precision=bf16-mixed",
    "train epochs=3": "+trainer.max_epochs=3",
    "train gpus=1": "trainer.devices=1",
    "train experiment=tasks": "mmdiff evaluate experiment=tasks",
    "train": "mmdiff train experiment=",
    "evaluate model=runs/a": "checkpoint=runs/a",
    "encode bs=4": "batch_size=4",
    "export": "mmdiff export diffusion_run=VALUE",
    "data-check root=clips": "data.root=clips",
    "data-check": "mmdiff data-check data.root=VALUE",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_every_hint_that_is_printed_works(line, capsys, monkeypatch, tmp_path):
    """The hint in the place of the wrong word, or the command that it is, composes."""
    from mmdiff.apps import train

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train, "run_here", lambda config: pytest.fail("it trained"))
    verb, *words = shlex.split(line)
    assert import_module(module_of(verb)).main(words) == 2
    shown = capsys.readouterr().err
    rows = dict(row.split(maxsplit=1) for row in shown.splitlines()[1:])
    hints = [rows[name] for name in ("nearest", "cure") if name in rows]
    assert MISTAKES[line] in " ".join(hints), shown
    for hint in hints:
        command = hint[hint.index("mmdiff ") :] if "mmdiff " in hint else ""
        if command:
            verb, *good = shlex.split(command)[1:]
        elif (right := shlex.split(hint)) and ("=" in right[0] or right[0].startswith("--")):
            wrong = rows.get("got", words[0])
            good = [*(word for word in words if word not in (wrong, f"+{wrong}")), right[0]]
        else:
            continue
        _, overrides = flags_and_overrides(good, verb)
        composed(verb, first_of_sweeps(overrides), with_hydra=True)
