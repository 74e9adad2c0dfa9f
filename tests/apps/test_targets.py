"""S5: a configuration calls what is on the list and nothing else, whatever path leads to it."""

import ast
import inspect
import pkgutil
import re
import shutil
import sys
import textwrap
import types
from importlib import import_module

import pytest
import torch
import yaml
from omegaconf import OmegaConf

import mmdiff
from mmdiff.apps.compose import check_nodes, composed, instantiate
from mmdiff.apps.known_keys import configuration_folder, options_of
from mmdiff.apps.run_folder import component_folders
from mmdiff.apps.targets import FUNCTIONS, OF_A_RUN, ROOMS, may_be_called, resolve_target
from mmdiff.training.checkpoint_folder import write_checkpoint
from mmdiff.values.usage_error import UsageError

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
    "mmdiff.bounce.studies.study.os.system",
    "mmdiff.data.context_cache.fill_contexts",
    "mmdiff.data.latent_cache.LatentCache",
    "mmdiff.data.latent_cache.LatentCache.write_spec",
    "mmdiff.data.check.report_picture.save_picture",
    "mmdiff.data.sources.tar_member.open_shard",
    "mmdiff.data.encode.encode",
    "mmdiff.evaluation.plot.save_plot",
    "mmdiff.evaluation.report.Report",
    "mmdiff.guidance.classifier_energy.load_classifier",
    "mmdiff.media.clip.Clip",
    "mmdiff.media.clip.Clip.save",
    "mmdiff.Clip",
    "mmdiff.Clip.save",
    "mmdiff.MMDiffPipeline.from_pretrained",
    "mmdiff.pipelines.pipeline.MMDiffPipeline.from_pretrained",
    "mmdiff.autoencoders.vocoder.Vocoder.from_pretrained",
    "mmdiff.training.callbacks.save_checkpoints.save_checkpoint",
    "mmdiff.training.checkpoint_folder.write_checkpoint",
    "mmdiff.training.warm_start.saved_component",
    "mmdiff.loading.component.saved_component",
    "diffusers.DDIMScheduler.from_pretrained",
    "diffusers.DDIMScheduler.save_pretrained",
    "diffusers.AutoencoderKL",
    "torch.optim.swa_utils.AveragedModel",
    "lightning.Fabric",
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


NAMED = sorted(
    {
        name
        for path in configuration_folder().rglob("*.yaml")
        for name in re.findall(r"_target_: *(\w[\w.]+)", path.read_text())
    }
)


def test_every_target_of_the_shipped_configurations_is_on_the_list():
    assert len(NAMED) > 100
    for name in NAMED:
        assert callable(resolve_target(name)), name


def defined_in(module):
    for name, value in vars(module).items():
        if getattr(value, "__module__", None) == module.__name__ and name.isidentifier():
            yield f"{module.__name__}.{name}", value


def test_s5_all_that_may_be_called_is_a_class_of_a_room_or_on_the_short_list():
    assert set(OF_A_RUN) < set(ROOMS)
    allowed = {}
    for info in pkgutil.walk_packages(mmdiff.__path__, "mmdiff."):
        if info.name != "mmdiff.__main__":
            found = dict(defined_in(import_module(info.name)))
            allowed |= {name: value for name, value in found.items() if may_be_called(value)}
    functions = {name for name, value in allowed.items() if not isinstance(value, type)}
    assert functions == set(FUNCTIONS) <= set(NAMED)
    for name, value in allowed.items():
        assert name.startswith(tuple(ROOMS)), name
        for attribute in dir(value) if isinstance(value, type) else ():
            method = getattr(value, attribute, None)
            assert isinstance(method, type) or not may_be_called(method), f"{name}.{attribute}"


def effects(function):
    """Calls in a constructor that write, load or start something."""
    names = {"open", "mkdir", "rmtree", "unlink", "write_text", "write_bytes", "atomic_write"}
    names |= {"write", "save", "save_file", "Process", "Popen", "run", "download"}
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    called = (ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call))
    return {name for name in called if name.rsplit(".", 1)[-1] in names}


def test_s5_no_constructor_that_may_be_called_writes_or_starts_anything():
    num_seen = 0
    for info in pkgutil.walk_packages(mmdiff.__path__, "mmdiff."):
        if not info.name.startswith(tuple(ROOMS)):
            continue
        for name, value in defined_in(import_module(info.name)):
            if not isinstance(value, type) or not may_be_called(value):
                continue
            for method in ("__init__", "__new__", "__post_init__"):
                function = vars(value).get(method)
                if inspect.isfunction(function) and function.__code__.co_filename != "<string>":
                    num_seen += 1
                    assert not effects(function), f"{name}.{method}"
    assert num_seen > 50


@pytest.mark.parametrize(
    ("module", "method", "is_allowed"),
    [
        ("mmdiff.guidance.mine", "perturbed", True),
        ("mmdiff.conditioning.mine", "apply", True),
        ("mmdiff.data.mine", "__getitem__", True),
        ("mmdiff.data.mine", "write", False),
        ("mmdiff.bounce.mine", "__getitem__", True),
        ("mmdiff.media.mine", "save", False),
    ],
)
def test_a_new_file_in_a_room_of_components_is_on_the_list(monkeypatch, module, method, is_allowed):
    """As CONTRIBUTING says: one new file and one YAML, nothing to sign up in."""
    mine = types.ModuleType(module)
    mine.Mine = type("Mine", (), {method: lambda self: None, "__module__": module})
    mine.do = types.FunctionType((lambda: None).__code__, {"__name__": module}, "do")
    monkeypatch.setitem(sys.modules, module, mine)
    if is_allowed:
        assert resolve_target(f"{module}.Mine") is mine.Mine
    for name in ["do"] if is_allowed else ["do", "Mine"]:
        with pytest.raises(UsageError, match="may not call"):
            resolve_target(f"{module}.{name}")


@pytest.mark.parametrize("experiment", options_of("train", "experiment"))
def test_every_experiment_leaves_a_run_that_can_be_exported(experiment):
    config = composed("train", [f"experiment={experiment}"])
    for key in ("module", "data"):
        names = targets_in(OmegaConf.to_container(config[key], resolve=False))
        assert names
        for name in names:
            assert resolve_target(name, rooms=OF_A_RUN), name


def targets_in(node):
    values = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    found = {node["_target_"]} if isinstance(node, dict) and "_target_" in node else set()
    return found.union(*map(targets_in, values))


def stored_run(folder, module, data):
    """What somebody else's run folder may hold: a good checkpoint and any resolved.yaml."""
    state = {"global_step": 1, "state_dict": {"w": torch.zeros(1)}}
    write_checkpoint(state, folder / "checkpoints" / "step_00000001")
    text = yaml.safe_dump({"module": module, "data": data})
    (folder / "resolved.yaml").write_text(text)
    return folder


MODULE = {"_target_": "mmdiff.training.vocoder_module.VocoderModule", "_partial_": True}
DATA = {"_target_": "mmdiff.data.datamodule.DataModule", "_partial_": True}
OF_OTHERS = [
    "lightning.pytorch.loggers.CSVLogger",
    "lightning.pytorch.callbacks.ModelCheckpoint",
    "lightning.pytorch.Trainer",
    "mmdiff.training.callbacks.save_components.SaveComponents",
    "mmdiff.distributed.strategies.data_parallel",
    "mmdiff.guidance.clip_energy.CLIPEnergy",
    "mmdiff.conditioning.first_frame.FirstFrame",
]


@pytest.mark.parametrize("name", [*GADGETS, *OF_OTHERS])
@pytest.mark.parametrize("place", ["module", "data", "in the module", "in the data"])
def test_s5_a_run_of_somebody_else_describes_models_and_data_only(tmp_path, name, place):
    gadget = {"_target_": name, "folder": str(tmp_path / "victim"), "_partial_": True}
    module = gadget if place == "module" else MODULE
    data = gadget if place == "data" else DATA
    module = module | ({"vocoder": [gadget]} if place == "in the module" else {})
    data = data | ({"dataset": {"a": gadget}} if place == "in the data" else {})
    run = stored_run(tmp_path / "run", module, data)
    with pytest.raises(UsageError, match=r"_target_"):
        component_folders(run, ("vocoder",), key="vocoder_run", workspace=tmp_path / "workspace")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize(
    ("module", "data", "said"),
    [
        (DATA, DATA, "module is a DataModule, which is no TrainingModule"),
        (MODULE, MODULE, "data is a VocoderModule, which is no DataModule"),
        (MODULE, {}, r"data\._target_ is None"),
        (MODULE, None, "describes no data"),
        ([MODULE], DATA, "describes no module"),
        ("mmdiff", DATA, "describes no module"),
        (
            {"_target_": "mmdiff.training.warm_start.saved_vocoder", "folder": "/"},
            DATA,
            "module is a saved_vocoder, which is no TrainingModule",
        ),
    ],
)
def test_s5_the_key_of_a_run_says_what_kind_stands_there(tmp_path, module, data, said):
    run = stored_run(tmp_path / "run", module, data)
    with pytest.raises(UsageError, match=said):
        component_folders(run, ("vocoder",), key="vocoder_run", workspace=tmp_path)


def test_a_stopped_run_of_ones_own_gives_its_components(tmp_path):
    from mmdiff.apps import train

    words = ["experiment=bounce/video_autoencoder", "max_steps=2", "data.batch_size=2"]
    words += ["autoencoder.encoder_widths=[8,8,8]", "autoencoder.decoder_widths=[8,8,8]"]
    words += ["module.scaling_batches=1", f"output_dir={tmp_path / 'run'}"]
    assert train.main(words) == 0
    shutil.rmtree(tmp_path / "run" / "components")
    found = component_folders(
        tmp_path / "run", ("vae",), key="vae_run", workspace=tmp_path / "workspace"
    )
    assert (found["vae"] / "config.json").is_file()


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
