"""Stops a run before a loss or a gradient that is not finite reaches the weights."""

import logging
from typing import Any, Literal

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer

_log = logging.getLogger(__name__)


class NonFinite(ArithmeticError):  # noqa: N818
    """A loss or a gradient is NaN or infinite; the message says where, at which step, for which
    samples."""


class FiniteGuard(Callback):
    """Looks at every loss and at every gradient before the optimizer step; all ranks decide alike.

    `raise` stops the run; `skip` leaves the step out, and stops after `max_skips` skips in a row.
    """

    def __init__(self, policy: Literal["raise", "skip"] = "raise", *, max_skips: int = 10) -> None:
        if policy not in ("raise", "skip"):
            raise ValueError(f"the policy is {policy!r}; possible are 'raise' and 'skip'")
        self.policy, self.max_skips = policy, max_skips
        self._bad_loss: Tensor | None = None
        self._skips = 0
        self._sample_ids: list[Any] = []

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._sample_ids += list(batch.sample_ids)

    def on_before_backward(
        self, trainer: Trainer, pl_module: LightningModule, loss: Tensor
    ) -> None:
        bad = ~loss.detach().isfinite()
        self._bad_loss = bad if self._bad_loss is None else self._bad_loss | bad

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer
    ) -> None:
        bad_loss, self._bad_loss = self._bad_loss, None
        sample_ids, self._sample_ids = self._sample_ids, []
        gradients = [p.grad for p in pl_module.parameters() if p.grad is not None]
        norms = torch.stack(torch._foreach_norm(gradients))
        assert bad_loss is not None  # a loss always comes before a step
        flags = torch.stack([norms.isfinite().all().logical_not(), bad_loss.any()]).float()
        flags = trainer.strategy.reduce(flags, reduce_op="sum")
        if not flags.any():
            self._skips = 0
            return
        place = _name(pl_module, flags, trainer, sample_ids)
        if self.policy == "raise" or self._skips >= self.max_skips:
            raise NonFinite(place)
        self._skips += 1
        _log.warning("%s; this step is skipped", place)
        for parameter in pl_module.parameters():
            parameter.grad = None


def _name(module: LightningModule, flags: Tensor, trainer: Trainer, sample_ids: list[Any]) -> str:
    what = "the loss" if flags[1] else "a gradient"
    terms = [
        name
        for name, value in trainer.callback_metrics.items()
        if name.startswith("train/") and not torch.as_tensor(value).isfinite().all()
    ]
    detail = f" ({', '.join(terms)})" if terms else ""
    if not flags[1]:
        names = [
            name
            for name, p in module.named_parameters()
            if p.grad is not None and not p.grad.isfinite().all()
        ]
        detail = f" of {', '.join(names[:3])}" if names else " on another rank"
    return f"{what}{detail} is not finite at step {trainer.global_step}, samples {sample_ids}"
