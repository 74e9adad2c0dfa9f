"""A critic beside an autoencoder or a vocoder: both learn, neither reaches into the other, and a
resumed run equals the unbroken one."""

from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mmdiff.autoencoders.critic import Critic, SpectrogramCritic, VideoCritic
from mmdiff.autoencoders.mel import LogMel
from mmdiff.autoencoders.objective import ReconstructionObjective
from mmdiff.autoencoders.video_autoencoder import VideoAutoencoder
from mmdiff.autoencoders.vocoder import Vocoder
from mmdiff.autoencoders.vocoder_objective import VocoderObjective
from mmdiff.bounce.dataset import BounceDataset
from mmdiff.data.clips import NumberedClips
from mmdiff.distributed.strategies import data_parallel
from mmdiff.training.adversary import Adversary
from mmdiff.training.autoencoder_module import AutoencoderModule
from mmdiff.training.callbacks.finite_guard import FiniteGuard
from mmdiff.training.inputs import FramesInput, WaveformInput
from mmdiff.training.optimizers import MuonAdamW
from mmdiff.training.schedules import Constant
from mmdiff.training.training_module import TrainingModule
from mmdiff.training.vocoder_module import VocoderModule
from mmdiff.values.shapes import ClipShape
from tests.distributed.processes import run_ranks
from tests.training import tiny
from tests.training.tiny import assert_equal, state

SHAPE = ClipShape(num_frames=5, height=16, width=16, frame_rate=Fraction(16))


def adversary(network: Critic, *, start_step: int = 1) -> Adversary:
    optimizer = partial(torch.optim.AdamW, lr=1e-2)
    return Adversary(network, optimizer, weight=0.1, start_step=start_step)


def video(*, has_critic: bool = True) -> TrainingModule:
    torch.manual_seed(0)
    return AutoencoderModule(
        VideoAutoencoder(
            latent_channels=4, encoder_widths=(8, 8, 8), decoder_widths=(8, 8, 8), decoder_blocks=1
        ),
        ReconstructionObjective(),
        inputs=FramesInput(),
        name="vae",
        optimizer=partial(MuonAdamW, lr=1e-2, adamw_lr=1e-2),
        lr_scheduler=Constant,
        seed=0,
        critic=adversary(VideoCritic(width=4)) if has_critic else None,
    )


def vocoder(*, has_critic: bool = True) -> TrainingModule:
    torch.manual_seed(0)
    return VocoderModule(
        Vocoder(width=16, hidden=16, num_blocks=1),
        VocoderObjective(LogMel(), n_ffts=(256,)),
        inputs=WaveformInput(),
        optimizer=partial(torch.optim.AdamW, lr=1e-2),
        lr_scheduler=Constant,
        seed=0,
        critic=adversary(SpectrogramCritic((128,), width=4)) if has_critic else None,
    )


def train(folder: Path, steps: int, module: TrainingModule, **settings: Any) -> TrainingModule:
    dataset = NumberedClips(BounceDataset(8, seed=0, shape=SHAPE))
    return tiny.train(folder, steps, module=module, dataset=dataset, **settings)


@pytest.mark.parametrize("make", [video, vocoder])
def test_two_steps_train_both(tmp_path: Path, make: Any) -> None:
    before, module = make(), train(tmp_path, 2, make(), callbacks=[FiniteGuard()])
    for part in ("trained", "critic"):
        old, new = (dict(getattr(one, part).named_parameters()) for one in (before, module))
        assert [name for name in old if torch.equal(old[name], new[name])] == []
    assert {"train/critic", "train/adversarial"} <= module.trainer.callback_metrics.keys()
    assert all(p.grad is None for p in module.critic.parameters())


@pytest.mark.parametrize("make, accumulate", [(video, 1), (vocoder, 1), (video, 2)])
def test_resumed_equals_unbroken(tmp_path: Path, make: Any, accumulate: int) -> None:
    settings = {"accumulate": accumulate}
    train(tmp_path / "whole", 4, make(), **settings)
    for steps in (2, 4):  # before and after the maker is told
        train(tmp_path / "parts", steps, make(), **settings)
    whole = state(tmp_path / "whole")
    assert any("critic._extra_state" in name and "exp_avg" in name for name in whole)
    assert_equal(whole, state(tmp_path / "parts"))


@pytest.mark.parametrize("make", [video, vocoder])
def test_until_it_speaks_a_critic_changes_nothing(tmp_path: Path, make: Any) -> None:
    """And without one, a checkpoint knows of none."""
    silent = make()
    silent.critic.start_step = 100
    train(tmp_path / "silent", 2, silent)
    train(tmp_path / "none", 2, make(has_critic=False))
    none, beside = state(tmp_path / "none"), state(tmp_path / "silent")
    assert none.keys() == {name for name in beside if "critic" not in name}
    assert_equal(none, {name: beside[name] for name in none})


def test_two_ranks_equal_one(tmp_path: Path) -> None:
    train(tmp_path / "one", 3, video())

    def rank() -> None:
        strategy = data_parallel(backend="gloo", timeout_seconds=20)
        train(tmp_path / "two", 3, video(), devices=2, strategy=strategy)

    run_ranks(rank, 2)
    ours, theirs = state(tmp_path / "one"), state(tmp_path / "two")
    for name in ours:
        if "critic.network" in name or "trained" in name:
            torch.testing.assert_close(ours[name], theirs[name], rtol=1e-4, atol=1e-5, msg=name)


def test_neither_side_reaches_into_the_other() -> None:
    critic, made, real = adversary(VideoCritic(width=4)), clip(0), clip(1)
    made.requires_grad_()
    critic(made, real, step=0)["loss"].backward()
    assert made.grad is None
    alone = [weight.grad.clone() for weight in critic.parameters()]
    critic.zero_grad()
    critic(made, real, step=1)["loss"].backward()
    assert made.grad is not None and made.grad.abs().sum() > 0
    for weight, gradient in zip(critic.parameters(), alone, strict=True):
        assert torch.equal(weight.grad, gradient)


def test_a_step_without_gradients_is_none() -> None:
    """What a guard skips, it skips here too."""
    critic = adversary(VideoCritic(width=4))
    before = nn.utils.parameters_to_vector(critic.parameters())
    critic.step()
    assert torch.equal(before, nn.utils.parameters_to_vector(critic.parameters()))


def test_a_critic_without_a_say_is_refused() -> None:
    with pytest.raises(ValueError, match="weight is 0; it must be a finite number above 0"):
        Adversary(VideoCritic(), torch.optim.AdamW, weight=0)


def clip(seed: int) -> Tensor:
    return torch.rand(2, 3, 3, 16, 16, generator=torch.Generator().manual_seed(seed)) * 2 - 1
