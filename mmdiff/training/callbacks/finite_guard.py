"""Stops a run before a loss or a gradient that is not finite reaches the weights."""

import logging
from dataclasses import dataclass
from typing import Any, Literal

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer

from mmdiff.loading.finite import are_finite, names_of_non_finite
from mmdiff.values.checks import check_sizes

HINT = (
    "look at these samples, or try a smaller learning rate; callbacks.guard.policy=skip leaves "
    "such steps out"
)
_log = logging.getLogger(__name__)


class NonFinite(ArithmeticError):  # noqa: N818
    """A loss, a gradient or a weight is NaN or infinite; the message says which, at which step, and
    for which samples where that is known."""


@dataclass(frozen=True)
class _Batch:
    """A batch of this step: its samples, its losses by name, and which of them are finite."""

    sample_ids: tuple[Any, ...]
    names: tuple[str, ...]
    are_finite: Tensor


class FiniteGuard(Callback):
    """Looks at each loss and gradient before the optimizer step; all ranks decide the same.

    `raise` stops the run; `skip` leaves the step out, and stops after `max_skips` skips in a row.
    The message names the term of the loss, the step, the rank and the samples.
    """

    def __init__(self, policy: Literal["raise", "skip"] = "raise", *, max_skips: int = 10) -> None:
        if policy not in ("raise", "skip"):
            raise ValueError(f"the policy is {policy!r}; possible are 'raise' and 'skip'")
        check_sizes(least=0, max_skips=max_skips)
        self.policy, self.max_skips = policy, max_skips
        self.skips_in_a_row, self.skips = 0, 0
        self._sample_ids: tuple[Any, ...] = ()
        self._batches: list[_Batch] = []

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._sample_ids = tuple(batch.sample_ids)

    def on_before_backward(
        self, trainer: Trainer, pl_module: LightningModule, loss: Tensor
    ) -> None:
        terms = {**getattr(pl_module, "losses", {}), "loss": loss}
        flags = are_finite(
            terms.values()
        )  # looked at before the step: here a GPU would be waited for
        self._batches.append(_Batch(self._sample_ids, tuple(terms), flags))

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer
    ) -> None:
        batches, self._batches = self._batches, []
        gradients = [p.grad for p in pl_module.parameters() if p.grad is not None]
        # a norm in half precision may be infinite where no gradient is
        norms = torch._foreach_norm(gradients, dtype=torch.float32)
        good = [are_finite(norms).all(), torch.stack([b.are_finite.all() for b in batches]).all()]
        bad = trainer.strategy.reduce(torch.stack(good).logical_not().float(), reduce_op="sum")
        if not bad.any():
            self.skips_in_a_row = 0
            return
        fault = _bad_losses(batches) if bad[1] else _bad_gradients(pl_module, batches)
        report = f"step {trainer.global_step}: {_of_all_ranks(trainer, fault)}"
        if self.policy == "raise" or self.skips_in_a_row >= self.max_skips:
            raise NonFinite(f"{report}; {HINT}")
        self.skips, self.skips_in_a_row = self.skips + 1, self.skips_in_a_row + 1
        _log.warning("%s; this step is skipped, %d in all", report, self.skips)
        for parameter in pl_module.parameters():
            parameter.grad = None

    def state_dict(self) -> dict[str, int]:
        return {"skips": self.skips, "skips_in_a_row": self.skips_in_a_row}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        self.skips, self.skips_in_a_row = state_dict["skips"], state_dict["skips_in_a_row"]


def _bad_losses(batches: list[_Batch]) -> str:
    faults = []
    for batch in batches:
        flags = batch.are_finite.tolist()
        terms = [name for name, good in zip(batch.names, flags, strict=True) if not good]
        if terms:
            parts = [name.removeprefix("loss/") for name in terms if name != "loss"]
            of = f" of {', '.join(parts)}" if parts else ""
            faults.append(f"the loss{of} is not finite for samples {list(batch.sample_ids)}")
    return "; ".join(faults)


def _bad_gradients(module: LightningModule, batches: list[_Batch]) -> str:
    """Empty where those of this rank are good."""
    gradients = {name: p.grad for name, p in module.named_parameters() if p.grad is not None}
    names = names_of_non_finite({name: g.float().norm() for name, g in gradients.items()})
    samples = [sample for batch in batches for sample in batch.sample_ids]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    fault = f"the gradient of {', '.join(names[:3])}{more} is not finite for samples {samples}"
    return fault if names else ""


def _of_all_ranks(trainer: Trainer, fault: str) -> str:
    """The faults of all ranks, so that each of them can name the one where it is."""
    if trainer.world_size == 1:
        return fault
    faults: list[str] = [""] * trainer.world_size
    own = f"rank {trainer.global_rank}: {fault}" if fault else ""
    torch.distributed.all_gather_object(faults, own)
    return "; ".join(filter(None, faults))
