"""Stops a run before a loss or a gradient that is not finite reaches the weights."""

import logging
from dataclasses import dataclass
from typing import Any, Literal

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer

from mmdiff.loading.finite import are_finite, names_of_non_finite
from mmdiff.training.finite import NonFinite
from mmdiff.values.checks import check_sizes

CURE = (
    "look at these samples, or try a smaller learning rate; callbacks.guard.policy=skip leaves "
    "such steps out"
)
_TEXT_BYTES = 500  # of what a rank tells the others
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Seen:
    """A batch of this step: its samples, its losses by name, and which of them are finite."""

    sample_ids: tuple[Any, ...]
    names: tuple[str, ...]
    are_finite: Tensor


class FiniteGuard(Callback):
    """Looks at every loss and at every gradient before the optimizer step; all ranks decide alike.

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
        self._seen: list[_Seen] = []

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._sample_ids = tuple(batch.sample_ids)

    def on_before_backward(
        self, trainer: Trainer, pl_module: LightningModule, loss: Tensor
    ) -> None:
        terms = {**getattr(pl_module, "losses", {}), "loss": loss}
        self._seen.append(_Seen(self._sample_ids, tuple(terms), are_finite(terms.values())))

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer
    ) -> None:
        seen, self._seen = self._seen, []
        gradients = [p.grad for p in pl_module.parameters() if p.grad is not None]
        # a norm in half precision may be infinite where no gradient is
        norms = torch._foreach_norm(gradients, dtype=torch.float32)
        good = [are_finite(norms).all(), torch.stack([s.are_finite.all() for s in seen]).all()]
        bad = trainer.strategy.reduce(torch.stack(good).logical_not().float(), reduce_op="sum")
        if not bad.any():
            self.skips_in_a_row = 0
            return
        told = _bad_losses(seen) if bad[1] else _bad_gradients(pl_module, seen)
        place = f"step {trainer.global_step}: {_of_all_ranks(trainer, told)}"
        if self.policy == "raise" or self.skips_in_a_row >= self.max_skips:
            raise NonFinite(f"{place}; {CURE}")
        self.skips, self.skips_in_a_row = self.skips + 1, self.skips_in_a_row + 1
        _log.warning("%s; this step is skipped, %d in all", place, self.skips)
        for parameter in pl_module.parameters():
            parameter.grad = None

    def state_dict(self) -> dict[str, int]:
        return {"skips": self.skips, "skips_in_a_row": self.skips_in_a_row}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        self.skips, self.skips_in_a_row = state_dict["skips"], state_dict["skips_in_a_row"]


def _bad_losses(seen: list[_Seen]) -> str:
    said = []
    for batch in seen:
        flags = batch.are_finite.tolist()
        terms = [name for name, good in zip(batch.names, flags, strict=True) if not good]
        if terms:
            parts = [name.removeprefix("loss/") for name in terms if name != "loss"]
            of = f" of {', '.join(parts)}" if parts else ""
            said.append(f"the loss{of} is not finite for samples {list(batch.sample_ids)}")
    return "; ".join(said)


def _bad_gradients(module: LightningModule, seen: list[_Seen]) -> str:
    gradients = {name: p.grad for name, p in module.named_parameters() if p.grad is not None}
    names = names_of_non_finite({name: g.float().norm() for name, g in gradients.items()})
    samples = [sample for batch in seen for sample in batch.sample_ids]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    said = f"the gradient of {', '.join(names[:3])}{more} is not finite for samples {samples}"
    return said if names else ""


def _of_all_ranks(trainer: Trainer, told: str) -> str:
    """What the ranks have to tell, gathered, so that each of them can name the one with the
    fault."""
    text = f"rank {trainer.global_rank}: {told}" if trainer.world_size > 1 and told else told
    content = text.encode()[:_TEXT_BYTES]
    row = torch.tensor(list(content.ljust(_TEXT_BYTES)), dtype=torch.uint8)
    rows = trainer.strategy.all_gather(row.to(trainer.strategy.root_device))
    texts = [bytes(r).decode(errors="replace").strip() for r in torch.atleast_2d(rows).tolist()]
    return "; ".join(text for text in texts if text)
