"""S5: a configuration calls what is on the list and nothing else, whatever path leads to it."""

import ast
import inspect
import pkgutil
import re
import sys
import textwrap
import types
from importlib import import_module

import pytest

import mmdiff
from mmdiff.apps.conf_tree import configuration_folder
from mmdiff.apps.targets import ALLOWED, FUNCTIONS, OF_A_RUN, Allowed
from mmdiff.values.usage_error import UsageError

GADGETS = [
    "os.system",
    "subprocess.Popen",
    "builtins.eval",
    "functools.partial",
    "hydra.utils.get_method",
    "hydra.utils.instantiate",
    "importlib.import_module",
    "pickle.loads",
    "torch.load",
    "torch.hub.load",
    "torch.optim.optimizer.functools.partial",
    "torch.optim.swa_utils.AveragedModel",
    "mmdiff.media.atomic.os.system",
    "mmdiff.apps.cli.os.system",
    "mmdiff.__main__.sys.exit",
    "diffusers.utils.logging.os.system",
    "diffusers.DiffusionPipeline",
    "diffusers.DiffusionPipeline.from_pretrained",
    "diffusers.DDIMScheduler.from_pretrained",
    "diffusers.DDIMScheduler.save_pretrained",
    "diffusers.AutoencoderKL",
    "transformers.T5EncoderModel.from_pretrained",
    "lightning.pytorch.utilities.seed.os.system",
    "lightning.pytorch.LightningModule",
    "lightning.Fabric",
    "shutil.rmtree",
    "mmdiff.distributed.launch.launch",
    "mmdiff.media.writer.encode_video",
    "mmdiff.media.atomic.atomic_write",
    "mmdiff.media.clip.Clip",
    "mmdiff.Clip.save",
    "mmdiff.apps.config.save_resolved",
    "mmdiff.apps.generate.main",
    "mmdiff.data.encode.encode",
    "mmdiff.guidance.classifier_energy.load_classifier",
    "mmdiff.MMDiffPipeline.from_pretrained",
    "mmdiff.autoencoders.vocoder.Vocoder.from_pretrained",
    "mmdiff.training.checkpoint_folder.write_checkpoint",
    "",
    "eval",
    "a b",
]


@pytest.mark.parametrize("name", GADGETS)
def test_s5_gadgets_are_refused(name):
    with pytest.raises(UsageError):
        ALLOWED.target(name)


@pytest.mark.parametrize(
    "name",
    [
        "torch.optim.AdamW",
        "torch.optim.lr_scheduler.OneCycleLR",
        "torch.nn.Linear",
        "diffusers.FlowMatchEulerDiscreteScheduler",
        "diffusers.schedulers.DDIMScheduler",
        "transformers.T5Config",
        "mmdiff.values.shapes.ClipShape",
        "mmdiff.FirstFrame",
        "lightning.pytorch.Trainer",
        "lightning.pytorch.callbacks.ModelCheckpoint",
        "lightning.pytorch.loggers.CSVLogger",
        "lightning.pytorch.strategies.DDPStrategy",
    ],
)
def test_what_is_on_the_list(name):
    assert ALLOWED.target(name).__name__ == name.rsplit(".", 1)[-1]


def test_every_target_of_the_shipped_configurations_is_on_the_list():
    names = {
        name
        for path in configuration_folder().rglob("*.yaml")
        for name in re.findall(r"_target_: *(\w[\w.]+)", path.read_text())
    }
    assert len(names) > 100
    for name in names:
        assert callable(ALLOWED.target(name)), name
    assert {*FUNCTIONS} <= names


def defined_in(module):
    for name, value in vars(module).items():
        if getattr(value, "__module__", None) == module.__name__ and name.isidentifier():
            yield f"{module.__name__}.{name}", value


def effects(function):
    """Calls in a constructor that write, load or start something."""
    names = {"open", "mkdir", "rmtree", "unlink", "write_text", "write_bytes", "atomic_write"}
    names |= {"write", "save", "save_file", "Process", "Popen", "run", "download"}
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    called = (ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call))
    return {name for name in called if name.rsplit(".", 1)[-1] in names}


def test_s5_only_classes_whose_constructors_have_no_effect_and_the_named_functions_are_allowed():
    functions, num_seen = set(), 0
    for info in pkgutil.walk_packages(mmdiff.__path__, "mmdiff."):
        if info.name == "mmdiff.__main__":
            continue
        for name, value in defined_in(import_module(info.name)):
            if not ALLOWED.includes(value):
                continue
            if not isinstance(value, type):
                functions.add(name)
                continue
            for attribute in dir(value):
                method = getattr(value, attribute, None)
                is_hidden = isinstance(method, type) or not ALLOWED.includes(method)
                assert is_hidden, f"{name}.{attribute}"
            for method in ("__init__", "__new__", "__post_init__"):
                function = vars(value).get(method)
                if inspect.isfunction(function) and function.__code__.co_filename != "<string>":
                    num_seen += 1
                    assert not effects(function), f"{name}.{method}"
    assert functions == {*FUNCTIONS} and num_seen > 50


@pytest.fixture
def module(request, monkeypatch):
    """A module with a class and a function of its own."""
    mine = types.ModuleType(request.param)
    mine.Mine = type("Mine", (), {"__module__": request.param})
    mine.do = types.FunctionType((lambda: None).__code__, {"__name__": request.param}, "do")
    monkeypatch.setitem(sys.modules, request.param, mine)
    return mine


ROOMS = ["mmdiff.guidance.mine", "mmdiff.conditioning.mine", "mmdiff.data.mine", "mmdiff.text.mine"]


@pytest.mark.parametrize("module", ROOMS, indirect=True)
def test_a_new_file_in_a_room_of_components_is_on_the_list(module):
    """As CONTRIBUTING says: one new file and one YAML, nothing to sign up in."""
    assert ALLOWED.target(f"{module.__name__}.Mine") is module.Mine
    with pytest.raises(UsageError, match="may not call"):
        ALLOWED.target(f"{module.__name__}.do")


@pytest.mark.parametrize("module", ["mmdiff.media.mine", "mypkg.nets"], indirect=True)
def test_a_file_elsewhere_is_not(module):
    for name in ("Mine", "do"):
        with pytest.raises(UsageError, match="may not call"):
            ALLOWED.target(f"{module.__name__}.{name}")


@pytest.mark.parametrize("module", ["mypkg.nets"], indirect=True)
def test_modules_of_the_user_are_called_where_they_are_trusted_by_name(module):
    for modules in (ALLOWED.modules, OF_A_RUN):
        allowed = Allowed(modules, trusted=("mypkg",))
        assert allowed.target("mypkg.nets.Mine") is module.Mine
        assert allowed.target("mypkg.nets.do") is module.do
        for gadget in ("os.system", "mypkgs.nets.Mine", "mypkg.nets.sys.exit"):
            with pytest.raises(UsageError):
                allowed.target(gadget)
    with pytest.raises(UsageError, match="may not call") as caught:
        ALLOWED.target("mypkg.nets.Mine")
    assert caught.value.hint.startswith("trust_modules=[mypkg]")
    with pytest.raises(UsageError, match="there is no module nowhere"):
        Allowed(trusted=("nowhere",)).target("nowhere.at.All")


@pytest.mark.parametrize(
    "name",
    [
        "lightning.pytorch.loggers.CSVLogger",
        "lightning.pytorch.Trainer",
        "mmdiff.training.callbacks.save_components.SaveComponents",
        "mmdiff.distributed.strategies.data_parallel",
        "mmdiff.guidance.clip_energy.CLIPEnergy",
        "mmdiff.conditioning.first_frame.FirstFrame",
        "torch.nn.Linear",
    ],
)
def test_s5_a_run_of_somebody_else_describes_models_and_data_only(name):
    assert ALLOWED.target(name)
    with pytest.raises(UsageError, match="may not call"):
        Allowed(OF_A_RUN).target(name)
