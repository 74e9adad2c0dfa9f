"""What a training run left, one's own or somebody else's."""

import shutil
import sys
import types

import pytest
import torch

from mmdiff.apps import train
from mmdiff.apps.config import save_resolved
from mmdiff.apps.run_folder import component_folders, run_configuration
from mmdiff.training.checkpoint_folder import write_checkpoint
from mmdiff.values.usage_error import UsageError

MODULE = {"_target_": "mmdiff.training.vocoder_module.VocoderModule", "_partial_": True}
DATA = {"_target_": "mmdiff.data.datamodule.DataModule", "_partial_": True}
GADGETS = ["os.system", "mmdiff.Clip.save", "lightning.pytorch.loggers.CSVLogger", "mypkg.Thing"]


def stored_run(folder, module, data):
    """What somebody else's run folder may hold: a good checkpoint and any resolved.yaml."""
    state = {"global_step": 1, "state_dict": {"w": torch.zeros(1)}}
    write_checkpoint(state, folder / "checkpoints" / "step_00000001")
    save_resolved({"module": module, "data": data, "trust_modules": ["os", "mypkg"]}, folder)
    return folder


def vocoder_of(run, **trusted):
    workspace = run.parent / "workspace"
    return component_folders(run, ("vocoder",), key="vocoder_run", workspace=workspace, **trusted)


@pytest.fixture
def package(monkeypatch):
    """A module of the user's own."""
    module = types.ModuleType("mypkg")
    module.Thing = type("Thing", (), {"__module__": "mypkg"})
    monkeypatch.setitem(sys.modules, "mypkg", module)


@pytest.mark.parametrize("name", GADGETS)
@pytest.mark.parametrize("place", ["module", "data", "in the module", "in the data"])
def test_s5_a_run_of_somebody_else_describes_models_and_data_only(tmp_path, package, name, place):
    """Whatever it says itself of what is to be trusted."""
    gadget = {"_target_": name, "_partial_": True}
    module = gadget if place == "module" else MODULE
    data = gadget if place == "data" else DATA
    module = module | ({"vocoder": [gadget]} if place == "in the module" else {})
    data = data | ({"dataset": {"a": gadget}} if place == "in the data" else {})
    with pytest.raises(UsageError, match=r"_target_"):
        vocoder_of(stored_run(tmp_path / "run", module, data))
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_run_may_name_what_its_reader_trusts(tmp_path, package):
    """It is not refused where it is named, but because it trains nothing."""
    run = stored_run(tmp_path / "run", {"_target_": "mypkg.Thing"}, DATA)
    with pytest.raises(UsageError, match="module is a Thing, which is no TrainingModule"):
        vocoder_of(run, trusted=["mypkg"])


@pytest.mark.parametrize(
    ("module", "data", "said"),
    [
        (DATA, DATA, "module is a DataModule, which is no TrainingModule"),
        (MODULE, MODULE, "data is a VocoderModule, which is no DataModule"),
        (MODULE, {}, r"data\._target_ is None"),
        (MODULE, None, "describes no data"),
        ([MODULE], DATA, "describes no module"),
        (
            {"_target_": "mmdiff.training.warm_start.saved_vocoder", "folder": "/"},
            DATA,
            "module is a saved_vocoder, which is no TrainingModule",
        ),
    ],
)
def test_s5_the_key_of_a_run_says_what_stands_there(tmp_path, module, data, said):
    with pytest.raises(UsageError, match=said):
        vocoder_of(stored_run(tmp_path / "run", module, data))


def test_what_is_no_run(tmp_path):
    with pytest.raises(UsageError, match="is no training run: it holds neither vocoder nor"):
        vocoder_of(tmp_path / "nothing")
    with pytest.raises(UsageError, match=r"has no resolved\.yaml") as caught:
        run_configuration(tmp_path)
    assert caught.value.hint == "give the output_dir of the run"


def test_a_stopped_run_of_ones_own_gives_its_components(tmp_path):
    words = ["experiment=bounce/video_autoencoder", "max_steps=2", "data.batch_size=2"]
    words += ["autoencoder.encoder_widths=[8,8,8]", "autoencoder.decoder_widths=[8,8,8]"]
    words += ["module.scaling_batches=1", f"output_dir={tmp_path / 'run'}"]
    assert train.main(words) == 0
    shutil.rmtree(tmp_path / "run" / "components")
    workspace = tmp_path / "workspace"
    found = component_folders(tmp_path / "run", ("vae",), key="vae_run", workspace=workspace)
    assert (found["vae"] / "config.json").is_file()
