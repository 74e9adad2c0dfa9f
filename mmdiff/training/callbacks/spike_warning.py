"""Says when the loss of a step is far above what it was, and which samples were in it."""

import logging
from collections import deque
from statistics import median
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from mmdiff.training.callbacks.save_checkpoints import has_stepped

_log = logging.getLogger(__name__)


class SpikeWarning(Callback):
    """Warns, with the sample ids, when the loss of a batch exceeds `factor` times the median of the
    last `window` ones. Each rank looks at its own samples; nothing is changed, skipped or undone.

    The first `patience` losses of a run only fill the window. What a checkpoint holds of it lets a
    resumed run warn where the unbroken one would.
    """

    def __init__(self, factor: float = 10.0, *, window: int = 64, patience: int = 20) -> None:
        if factor <= 1 or not 1 <= patience <= window:
            raise ValueError(
                f"factor is {factor}, patience {patience} and window {window}; the factor must be "
                "above 1, and patience from 1 to window"
            )
        self.factor, self.patience = factor, patience
        self._recent: deque[float] = deque(maxlen=window)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        # Lightning has divided it, so that the gradients of a step add up to their mean
        loss = float(torch.as_tensor(outputs["loss"])) * trainer.accumulate_grad_batches
        usual = median(self._recent) if len(self._recent) >= self.patience else None
        self._recent.append(loss)  # a median forgives a spike that is among them
        if usual is not None and loss > self.factor * usual:
            _log.warning(
                "step %d, rank %d: the loss is %.4g, %.0f times its median of %.4g; samples %s",
                trainer.global_step - has_stepped(trainer, batch_idx),
                trainer.global_rank,
                loss,
                loss / usual,
                usual,
                list(batch.sample_ids),
            )

    def state_dict(self) -> dict[str, list[float]]:
        return {"recent": list(self._recent)}

    def load_state_dict(self, state_dict: dict[str, list[float]]) -> None:
        self._recent.extend(state_dict["recent"])
