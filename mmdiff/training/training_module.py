"""What all our Lightning modules share: the optimizer, the averaged weights, clipping, and what
they hand on."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from mmdiff.autoencoders.critic import Critique
from mmdiff.data.batch import ClipBatch, LatentBatch
from mmdiff.diffusion.noise import NoiseKey
from mmdiff.testing.fault_plan import fault_point, spoiled
from mmdiff.training.adversary import Adversary
from mmdiff.training.averaging import AveragedWeights
from mmdiff.training.checkpoint_folder import read_checkpoint
from mmdiff.training.configured_rates import apply_configured, configured_groups
from mmdiff.training.validation_losses import ValidationLosses
from mmdiff.values.checks import check_weights

Batch = ClipBatch | LatentBatch
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")


Trained = TypeVar("Trained", bound=nn.Module)


class TrainingModule(LightningModule, Generic[Trained]):
    """Trains the parameters of `trained`, and keeps their average; beside them a critic, if any.

    Subclasses write `training_step`, `losses_of` a batch that is validated on, and `components`:
    the finished parts of a pipeline, by the names of their folders.
    """

    def __init__(
        self,
        trained: Trained,
        *,
        optimizer: Callable[..., Optimizer],
        lr_scheduler: Callable[[Optimizer], LRScheduler],
        seed: int,
        ema_decay: float,
        critic: Adversary | None = None,
    ) -> None:
        super().__init__()
        self.trained: Trained = trained
        self.ema: AveragedWeights[Trained] = AveragedWeights(trained, ema_decay)
        self.make_optimizer, self.make_lr_scheduler = optimizer, lr_scheduler
        self.seed = seed
        self.critic = critic
        self.losses: Mapping[str, Tensor] = {}  # of the last batch, by name, detached
        self._configured: list[dict[str, Any]] = []
        self._validation = ValidationLosses()
        self.validated_step: int | None = None
        self._schedule: LRScheduler | None = None

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]
        cls, checkpoint_path: str | Path, *, strict: bool = True, **arguments: Any
    ) -> Self:
        """A module made of `arguments`, with the weights and averages of a checkpoint, in eval
        mode. `mmdiff.load_from_checkpoint(path)` does without arguments.

        Raises DamagedCheckpoint for a folder that is no checkpoint, or is damaged.
        """
        state = read_checkpoint(Path(checkpoint_path))["state_dict"]
        if not arguments:
            raise TypeError(
                f"{cls.__name__}.load_from_checkpoint takes what the module is made of as well; "
                f"mmdiff.load_from_checkpoint({str(checkpoint_path)!r}) builds it from what the "
                "checkpoint carries"
            )
        module = cls(**arguments)
        module.load_state_dict(state, strict=strict)
        return module.eval()

    @abstractmethod
    def losses_of(self, batch: Any, batch_index: int) -> Mapping[str, Tensor]:
        """Losses of the averaged weights on a batch that is held out, by name: one per sample, b,
        or one for all. Chance in it is the same whenever it is asked."""

    @abstractmethod
    def components(self, batches: Iterable[Any]) -> Mapping[str, Any]:
        """Parts of a pipeline, with averaged weights, by folder name; `batches` are for what is
        measured on data."""

    def key(self, batch: Batch) -> NoiseKey:
        """The address of all chance in this step."""
        return NoiseKey(self.seed, self.global_step, batch.sample_ids)

    def held_out_key(self, batch: Batch, draw: int = 0) -> NoiseKey:
        """The address of all chance in validation: of no step and no seed, so that curves of a run,
        and of runs, can be compared."""
        return NoiseKey(0, draw, tuple(f"held out {sample}" for sample in batch.sample_ids))

    def on_validation_epoch_start(self) -> None:
        self._validation = ValidationLosses()

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        # what is made, and kept, in the mode of inference could not be trained with afterwards
        with torch.inference_mode(False), torch.no_grad():
            self._validation.add(self.losses_of(batch, batch_index), batch.sample_ids)

    def on_validation_epoch_end(self) -> None:
        """Log the means as `val/...`, on all ranks alike."""
        means = self._validation.means(self.trainer.world_size)
        # equal on all ranks already: sync_dist only keeps Lightning from warning that it is not set
        self.log_dict({f"val/{name}": mean for name, mean in means.items()}, sync_dist=True)
        self.validated_step = self.global_step

    @property
    def critique(self) -> Critique | None:
        """What an objective may ask of the critic in this step; None without one."""
        return None if self.critic is None else partial(self.critic, step=self.global_step)

    def log_losses(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Log all losses and return the one that is trained on."""
        loss = spoiled(losses["loss"], "train.loss", self.global_step)
        self.losses = {name: term.detach() for name, term in losses.items()}
        self.log_dict({f"train/{name}": term for name, term in self.losses.items()})
        return loss

    def configure_optimizers(self) -> dict[str, Any]:
        optimizer = self.make_optimizer(self.trained.named_parameters())
        self._configured = configured_groups(optimizer)
        self._schedule = self.make_lr_scheduler(optimizer)
        scheduler = {"scheduler": self._schedule, "interval": "step"}
        return {"optimizer": optimizer, "lr_scheduler": scheduler}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["lr_schedulers"] = []  # walked again when training starts

    def on_fit_start(self) -> None:
        """ValueError for precisions and clipping that cannot be trained with."""
        precision, clip = self.trainer.precision, self.trainer.gradient_clip_val
        if precision not in PRECISIONS:
            raise ValueError(
                f"precision is {precision}; possible are {', '.join(PRECISIONS)}: weights are kept "
                "in 32 bits, since in 16 their average would stand still"
            )
        if clip is not None:
            check_weights(gradient_clip_val=clip)  # below 0 turns the step round
        if self.critic is not None and self.trainer.precision == "16-mixed":
            raise ValueError(
                "precision is 16-mixed, whose scaled gradients a critic does not take; "
                "use bf16-mixed"
            )

    def on_train_start(self) -> None:
        if self.lr_schedulers() is not self._schedule:
            return  # a search for a rate has put its own in place
        apply_configured(
            self.optimizers().optimizer,
            self.lr_schedulers(),
            self._configured,
            make_schedule=self.make_lr_scheduler,
            step=self.global_step,
        )

    def on_after_backward(self) -> None:
        for parameter in self.trained.parameters():
            if parameter.grad is not None:
                parameter.grad = spoiled(parameter.grad, "train.gradient", self.global_step)
                return

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        fault_point("train.step", self.global_step)
        super().optimizer_step(*args, **kwargs)
        if self.critic is not None:
            self.critic.step()
        fault_point("train.average", self.global_step)
        self.ema.update(self.trained, self.global_step)

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Lightning refuses to for fused optimizers, which is only needed where gradients are
        scaled."""
        if not gradient_clip_val:
            return
        if self.trainer.precision == "16-mixed":
            raise ValueError(
                "precision is 16-mixed, whose scaled gradients are not clipped; use bf16-mixed"
            )
        if gradient_clip_algorithm == "value":
            torch.nn.utils.clip_grad_value_(self.trained.parameters(), gradient_clip_val)
        else:
            torch.nn.utils.clip_grad_norm_(self.trained.parameters(), gradient_clip_val)
