import pytest
import torch

from mmdiff.autoencoders.critic import (
    Critic,
    SpectrogramCritic,
    VideoCritic,
    adversarial_loss,
    critic_loss,
)


def spectrograms() -> tuple[Critic, torch.Tensor]:
    return SpectrogramCritic((128, 256), width=4), 0.1 * torch.randn(2, 4000)


def videos() -> tuple[Critic, torch.Tensor]:
    return VideoCritic(width=8), torch.rand(2, 3, 5, 32, 32) * 2 - 1


@pytest.mark.parametrize("make", [spectrograms, videos])
def test_scores_have_the_batch_first(make) -> None:
    critic, x = make()
    assert all(score.shape[0] == 2 for score in critic(x))


@pytest.mark.parametrize("make", [spectrograms, videos])
def test_no_gradient_of_the_critic_reaches_what_is_made(make) -> None:
    critic, x = make()
    made = x.clone().requires_grad_()
    critic_loss(critic, x, made).backward()
    assert made.grad is None
    adversarial_loss(critic, made).backward()
    assert made.grad is not None
    assert made.grad.abs().sum() > 0


def test_a_sure_critic_has_no_loss() -> None:
    class Sure(Critic):
        def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
            return [x]

    assert critic_loss(Sure(), torch.full((2, 3), 1.5), torch.full((2, 3), -1.5)) == 0
    assert critic_loss(Sure(), torch.zeros(2, 3), torch.zeros(2, 3)) == 2
    assert adversarial_loss(Sure(), torch.full((2, 3), 0.5)) == -0.5


@pytest.mark.parametrize("make", [spectrograms, videos])
def test_learns_to_tell_noise_from_silence(make) -> None:
    torch.manual_seed(0)
    critic, real = make()
    optimizer = torch.optim.AdamW(critic.parameters(), lr=3e-3)
    for _ in range(30):
        loss = critic_loss(critic, real, torch.zeros_like(real))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.5


def test_flicker_shows() -> None:
    critic, still = VideoCritic(width=8), torch.zeros(1, 3, 4, 32, 32)
    flickering = still.clone()
    flickering[:, :, 2] = 0.5
    (a,), (b,) = critic(still), critic(flickering)
    assert (a - b).abs()[0, 3].max() > 0  # the frame after it looks the same, but comes after it
