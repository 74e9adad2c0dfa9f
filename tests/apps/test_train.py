"""The keys of `mmdiff train`: what contradicts each other is refused before anything is written."""

import pytest

from mmdiff.apps import train
from mmdiff.values.usage_error import UsageError

VAE = "experiment=bounce/video_autoencoder"
# an override, and what the screen says
WRONG = {
    "trainer.gradient_clip_val=nan": "a finite number",
    "+trainer.num_nodes=2": "1 without torchrun",
    "trainer.precision=64-true": "32-true, bf16-mixed or 16-mixed",
    "trainer.devices=0": "a whole number from 1 to 1024, auto",
    "trainer.devices=[]": "a list of GPUs",
    "trainer.devices=[0,0]": "a list of GPUs",
    "trainer.devices=[0,1]": "a list of GPUs",
    "optimizer.optimizer.lr=inf": "a finite number",
    "optimizer.optimizer.adamw_lr=[1]": "a number",
    "seed=-1": "0 to 9223372036854775807",
    "max_minutes=-1": "0 to 10000000",
    "max_steps=0": "1 to 1000000000",
    "resume=": "is empty",
    "components.vae=' '": "is empty",
    "callbacks.checkpoints.folder=''": "is empty",
    "lr_find=maybe": "true or false or 'use'",
}


@pytest.fixture(autouse=True)
def nothing_is_done(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("run_here", "save_resolved"):
        monkeypatch.setattr(train, name, lambda *_: pytest.fail("it went on"))
    yield
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("word", WRONG)
def test_out_of_range(word, capsys):
    assert train.main([VAE, word]) == 2
    shown = capsys.readouterr().err.removeprefix("loading libraries\n")
    key = word.lstrip("+").split("=")[0]
    assert shown.startswith(f"mmdiff train: {key} is ")
    assert WRONG[word] in shown and len(shown.splitlines()) <= 6


@pytest.mark.parametrize("name", train.GIVEN)
def test_what_train_gives_the_trainer_is_not_given_twice(name, capsys):
    assert train.main([VAE, f"+trainer.{name}=x"]) == 2
    shown = capsys.readouterr().err
    assert f"trainer.{name}=x is given by mmdiff train itself" in shown or "possible is" in shown
    assert "hint" in shown or "possible is" in shown


def test_two_ends_of_one_run_are_reported(capsys):
    assert train.main([VAE, "max_steps=30", "trainer.max_steps=20"]) == 2
    shown = capsys.readouterr().err
    assert "trainer.max_steps is 20 and max_steps 30" in shown
    assert "hint     max_steps=20" in shown


def test_ranks_of_torchrun_need_a_folder_by_name():
    with pytest.raises(UsageError, match="cannot agree on a dated folder"):
        train.start({}, words=[VAE], is_rank=True)


def test_devices():
    assert train.num_processes({"devices": "3"}) == 3
    assert train.num_processes({"devices": [0, 2], "accelerator": "gpu"}) == 2
    assert train.num_processes({"devices": "auto", "accelerator": "cpu"}) == 1
    with pytest.raises(UsageError, match=r"trainer\.devices is 0\.5"):
        train.num_processes({"devices": 0.5})
