"""Adversary: a critic that learns along with the network that it judges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Optimizer

from mmdiff.autoencoders.critic import Critic, adversarial_loss, critic_loss
from mmdiff.values.checks import check_weights


class Adversary(nn.Module):
    """A critic with an optimizer of its own; the state of both is in `state_dict`.

    One backward pass serves both networks: the critic's loss reaches the critic alone, the
    adversarial loss the generator alone. So gradients are accumulated, and averaged over ranks,
    like all others; `step` then moves the critic.

    Args:
        network: the critic.
        optimizer: makes the critic's optimizer from its parameters.
        weight: of the adversarial loss, against 1 of the generator's own objective.
        start_step: the step from which on there is one; the critic learns from the first.
    """

    def __init__(
        self,
        network: Critic,
        optimizer: Callable[..., Optimizer],
        *,
        weight: float,
        start_step: int = 0,
    ) -> None:
        super().__init__()
        check_weights(above=True, weight=weight)
        check_weights(start_step=start_step)
        self.network, self.make_optimizer = network, optimizer
        self.weight, self.start_step = weight, start_step
        self._optimizer: Optimizer | None = None
        self._loaded: dict[str, Any] = {}

    def forward(self, made: Tensor, real: Tensor, *, step: int) -> dict[str, Tensor]:
        """What to add to the losses on `made`, which should look like `real`, at `step`."""
        critic = critic_loss(self.network, real, made)
        losses = {"loss": critic, "critic": critic.detach()}
        if step >= self.start_step:
            adversarial = adversarial_loss(self._frozen, made)
            losses["loss"] = critic + self.weight * adversarial
            losses["adversarial"] = adversarial.detach()
        return losses

    def step(self) -> None:
        """Move the critic along its gradients and clear them; nothing happens without any."""
        optimizer = self._get_optimizer()
        optimizer.step()
        optimizer.zero_grad()

    def _frozen(self, made: Tensor) -> list[Tensor]:
        """The critic's scores; gradients go through to `made`, and not to its weights."""
        weights = {name: weight.detach() for name, weight in self.network.named_parameters()}
        return functional_call(self.network, weights, (made,))

    def _get_optimizer(self) -> Optimizer:
        if self._optimizer is None:  # first needed when the weights are on their device
            self._optimizer = self.make_optimizer(self.network.parameters())
            if self._loaded:
                self._optimizer.load_state_dict(self._loaded)
                self._loaded = {}
        return self._optimizer

    def get_extra_state(self) -> dict[str, Any]:
        """The state of the optimizer, as a part of `state_dict`."""
        return self._loaded if self._optimizer is None else self._optimizer.state_dict()

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self._optimizer, self._loaded = None, state
