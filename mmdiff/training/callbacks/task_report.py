"""What a run with many tasks is learning: losses per task, gradients per modality, noise levels."""

from collections import defaultdict
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor, nn
from torch.optim import Optimizer

from mmdiff.training.callbacks.save_checkpoints import has_stepped
from mmdiff.training.task_losses import SampleLoss
from mmdiff.values.checks import check_sizes
from mmdiff.values.latents import MODALITIES

NUM_BINS = 20


class TaskReport(Callback):
    """Logs, over every `every_n_steps` steps: the mean loss of each task and modality
    (`task/first_frame/video`), the norm of the last gradient of each modality's own weights and of
    the shared ones (`gradient/video`), and how often each noise level was seen (`level/video`, a
    histogram for TensorBoard, its mean for all loggers).
    """

    def __init__(self, *, every_n_steps: int = 100) -> None:
        check_sizes(most=10**9, every_n_steps=every_n_steps)
        self.every_n_steps = every_n_steps
        self._losses: dict[str, list[Tensor]] = defaultdict(list)
        self._levels: dict[str, list[Tensor]] = defaultdict(list)

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer
    ) -> None:
        if (trainer.global_step + 1) % self.every_n_steps == 0:  # counted after the step
            norms = gradient_norms(pl_module.trained["transformer"])  # type: ignore[index]
            pl_module.log_dict({f"gradient/{name}": norm for name, norm in norms.items()})

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        for samples in outputs["samples"]:
            self._keep(samples)
        step = trainer.global_step
        if step % self.every_n_steps or not has_stepped(trainer, batch_idx):
            return
        means = {
            **{f"task/{name}": torch.cat(losses).mean() for name, losses in self._losses.items()},
            **{f"level/{name}": torch.cat(seen).mean() for name, seen in self._levels.items()},
        }
        pl_module.log_dict(means)
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                for name, seen in self._levels.items():
                    logger.experiment.add_histogram(
                        f"levels/{name}", torch.cat(seen), step, bins=NUM_BINS
                    )
        self._losses.clear()
        self._levels.clear()

    def _keep(self, samples: SampleLoss) -> None:
        learns = samples.level > 0  # where all of a modality is conditioned there is no loss
        if bool(learns.any()):
            self._levels[samples.modality].append(samples.level[learns].float().cpu())
        for task in sorted(set(samples.tasks)):
            rows = torch.tensor([name == task for name in samples.tasks]).to(learns.device) & learns
            if bool(rows.any()):
                self._losses[f"{task}/{samples.modality}"].append(samples.loss[rows].cpu())


def gradient_norms(transformer: nn.Module) -> dict[str, Tensor]:
    """The norm of the gradient of the weights of each modality, and of the shared ones."""
    modalities = getattr(transformer, "modalities", MODALITIES)
    squares: dict[str, Tensor] = {}
    for name, parameter in transformer.named_parameters():
        if parameter.grad is None:
            continue
        # an adapter is named as its modality is, temporal attention NAME_time
        owners = (m for m in modalities if name.startswith(f"{m}.") or f".{m}_time." in name)
        owner = next(owners, "shared")
        square = parameter.grad.detach().float().square().sum()
        squares[owner] = squares.get(owner, torch.zeros_like(square)) + square
    return {name: square.sqrt() for name, square in squares.items()}
