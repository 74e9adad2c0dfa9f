"""S5: a configuration calls what is on the list and nothing else, whatever path leads to it."""

import pytest

from mmdiff.apps.compose import check_nodes, instantiate
from mmdiff.apps.targets import resolve_target
from mmdiff.apps.usage_error import UsageError

GADGETS = [
    "os.system",
    "subprocess.Popen",
    "builtins.eval",
    "builtins.exec",
    "functools.partial",
    "hydra.utils.get_method",
    "hydra.utils.instantiate",
    "importlib.import_module",
    "pickle.loads",
    "torch.load",
    "torch.hub.load",
    "torch.optim.optimizer.functools.partial",
    "mmdiff.media.atomic.os.system",
    "mmdiff.apps.run.os.system",
    "mmdiff.__main__.sys.exit",
    "diffusers.utils.logging.os.system",
    "diffusers.DiffusionPipeline",
    "diffusers.DiffusionPipeline.from_pretrained",
    "lightning.pytorch.utilities.seed.os.system",
    "lightning.pytorch.LightningModule",
    "shutil.rmtree",
    "mmdiff.distributed.launch.launch",
    "mmdiff.media.writer.encode_video",
    "mmdiff.media.atomic.atomic_write",
    "mmdiff.training.checkpoint_folder.sweep",
    "mmdiff.apps.compose.save_resolved",
    "mmdiff.apps.compose.instantiate",
    "mmdiff.apps.generate.main",
    "mmdiff.apps.evaluations.study.os.system",
    "",
    "eval",
    "a b",
]


@pytest.mark.parametrize("name", GADGETS)
def test_s5_gadgets_are_refused(name):
    with pytest.raises(UsageError):
        resolve_target(name)


@pytest.mark.parametrize("name", GADGETS)
def test_s5_nested_gadgets_are_refused_before_anything_runs(name):
    inner = {"_target_": name, "_partial_": True}
    for config in (
        {"_target_": "torch.optim.AdamW", "_partial_": True, "lr": inner},
        {"a": {"b": [{"c": inner}]}},
    ):
        with pytest.raises(UsageError):
            check_nodes(config)
        with pytest.raises(UsageError):
            instantiate(config)


@pytest.mark.parametrize(
    "name",
    [
        "torch.optim.AdamW",
        "torch.optim.Muon",
        "torch.optim.lr_scheduler.OneCycleLR",
        "diffusers.FlowMatchEulerDiscreteScheduler",
        "diffusers.schedulers.DDIMScheduler",
        "mmdiff.values.shapes.ClipShape",
    ],
)
def test_what_is_on_the_list(name):
    assert resolve_target(name).__name__ == name.rsplit(".", 1)[-1]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "lightning.pytorch.Trainer",
        "lightning.pytorch.callbacks.ModelCheckpoint",
        "lightning.pytorch.loggers.CSVLogger",
        "lightning.pytorch.strategies.DDPStrategy",
    ],
)
def test_what_is_on_the_list_of_lightning(name):
    assert resolve_target(name).__name__ == name.rsplit(".", 1)[-1]


def command_line(marker):
    """Every way in which a configuration can name a gadget."""
    call = f"{{_target_:os.system,command:'touch {marker}'}}"
    return [
        ["scheduler=ddim", "scheduler._target_=os.system"],
        [f"+scheduler={call}"],
        ["scheduler=ddim", f"scheduler.beta_start={call}"],
        ["scheduler=ddim", f"scheduler.trained_betas=[{call}]"],
        ["scheduler=ddim", "scheduler._target_=functools.partial", "+scheduler._args_=[os.system]"],
        [
            "scheduler=ddim",
            "scheduler._target_=hydra.utils.get_method",
            "+scheduler.path=os.system",
        ],
        ["scheduler=ddim", "scheduler._target_=os.system", "+scheduler._partial_=true"],
        ["seed=1", "scheduler=ddim", "output=os.system", "scheduler._target_=${output}"],
        ["guidance=projected", f"guidance.projected.eta={call}"],
        ["guidance=projected", "+guidance.projected._recursive_=false", "guidance.projected.eta=x"],
        [f"prompt={call}", "scheduler=ddim", "scheduler._target_=${prompt}"],
        [f"conditions=[{call}]"],
        [f"condition={call}"],
        [f"seed={call}"],
        [f"paths={call}"],
    ]


@pytest.mark.parametrize("way", range(15))
def test_s5_no_way_into_a_command_line_runs_a_gadget(way, tmp_path, monkeypatch, capsys):
    from mmdiff.apps.generate import generate
    from mmdiff.apps.run import run_call

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mmdiff.apps.generate.load_pipeline", lambda *_, **__: pytest.fail("ran"))
    words = ["prompt=a", *command_line(tmp_path / "marker")[way]]
    assert run_call("generate", generate, words) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_s5_a_foreign_configuration_folder_runs_no_gadget(tmp_path, monkeypatch, capsys):
    from mmdiff.apps.generate import generate
    from mmdiff.apps.run import run_call

    folder = tmp_path / "conf" / "guidance"
    folder.mkdir(parents=True)
    text = "# @package guidance.bad\n_target_: os.system\ncommand: touch marker\n"
    (folder / "bad.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    words = ["prompt=a", "--config-dir", str(tmp_path / "conf"), "guidance=bad"]
    assert run_call("generate", generate, words) == 2
    assert "may not call" in capsys.readouterr().err
    assert not (tmp_path / "marker").exists()


def test_instantiate_builds_nested_nodes():
    shape = instantiate({"_target_": "mmdiff.values.shapes.ClipShape", "num_frames": 5})
    assert shape.num_frames == 5
