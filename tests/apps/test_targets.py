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


def test_instantiate_builds_nested_nodes():
    shape = instantiate({"_target_": "mmdiff.values.shapes.ClipShape", "num_frames": 5})
    assert shape.num_frames == 5
