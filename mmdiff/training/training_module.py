"""TrainingModule: what all our Lightning modules share."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from lightning.pytorch import LightningModule
from torch import Tensor, inference_mode, nn, no_grad
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from mmdiff.autoencoders.critic import Critique
from mmdiff.data.batch import ClipBatch, LatentBatch
from mmdiff.diffusion.noise import NoiseKey
from mmdiff.training.adversary import Adversary
from mmdiff.training.averaging import AveragedWeights
from mmdiff.training.checkpoint_folder import read_checkpoint
from mmdiff.training.schedules import configured_groups, walk_again
from mmdiff.training.validation_losses import ValidationLosses
from mmdiff.values.checks import check_weights

Batch = ClipBatch | LatentBatch
Trained = TypeVar("Trained", bound=nn.Module)


class TrainingModule(LightningModule, Generic[Trained]):
    """Trains the parameters of `trained`, and keeps their average; with a critic, if any.

    Subclasses write `training_step`, `losses_of` and `components`.
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
        self.seed, self.critic = seed, critic
        self.losses: Mapping[str, Tensor] = {}  # of the last batch, by name, detached
        self.validated_step: int | None = None
        self._groups: list[dict[str, Any]] = []  # of the optimizer, as configured

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]
        cls, checkpoint_path: str | Path, *, strict: bool = True, **arguments: Any
    ) -> Self:
        """A module made of `arguments`, all that the constructor takes, with the weights of a
        checkpoint, in eval mode; `mmdiff.load_from_checkpoint(path)` needs no arguments.
        DamagedCheckpoint for a folder that is no checkpoint, or is damaged.
        """
        module = cls(**arguments)
        module.load_state_dict(read_checkpoint(Path(checkpoint_path))["state_dict"], strict=strict)
        return module.eval()

    @abstractmethod
    def losses_of(self, batch: Any, batch_index: int) -> Mapping[str, Tensor]:
        """Losses of the averaged weights on a held-out batch, by name: one per sample, b, or one
        for all. Asked again, they are the same."""

    @abstractmethod
    def components(self, batches: Iterable[Any]) -> Mapping[str, Any]:
        """Parts of a pipeline by folder name, averaged; `batches` for what is measured on data."""

    def key(self, batch: Batch) -> NoiseKey:
        """What all chance in this step is a function of."""
        return NoiseKey(self.seed, self.global_step, batch.sample_ids)

    def held_out_key(self, batch: Batch, draw: int = 0) -> NoiseKey:
        """The same in validation: of no step and no seed, so that runs can be compared."""
        return NoiseKey(0, draw, tuple(f"held out {one}" for one in batch.sample_ids))

    @property
    def critique(self) -> Critique | None:
        """What an objective may ask of the critic in this step; None without one."""
        return None if self.critic is None else partial(self.critic, step=self.global_step)

    def log_losses(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Log all losses and return the one that is trained on."""
        self.losses = {name: term.detach() for name, term in losses.items()}
        self.log_dict({f"train/{name}": term for name, term in self.losses.items()})
        return losses["loss"]

    def on_validation_epoch_start(self) -> None:
        self._validation = ValidationLosses()

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        # a tensor that inference mode has made, and a module keeps, cannot be trained with later
        with inference_mode(False), no_grad():
            self._validation.add(self.losses_of(batch, batch_index), batch.sample_ids)

    def on_validation_epoch_end(self) -> None:
        """Log the means as `val/...`, the same on all ranks."""
        means = self._validation.means(self.trainer.world_size)
        # equal on all ranks already: sync_dist only keeps Lightning from warning that it is not set
        self.log_dict({f"val/{name}": mean for name, mean in means.items()}, sync_dist=True)
        self.validated_step = self.global_step

    def on_fit_start(self) -> None:
        """ValueError for clipping, and a critic, that cannot be trained with."""
        if self.trainer.gradient_clip_val is not None:  # below 0 it would turn the step round
            check_weights(gradient_clip_val=self.trainer.gradient_clip_val)
        if self.trainer.precision == "16-mixed" and (self.critic or self.trainer.gradient_clip_val):
            raise ValueError(
                "precision is 16-mixed, whose scaled gradients can neither be clipped nor taken by "
                "a critic; use bf16-mixed"
            )

    def configure_optimizers(self) -> dict[str, Any]:
        optimizer = self.make_optimizer(self.trained.named_parameters())
        self._groups = configured_groups(optimizer)
        schedule = {"scheduler": self.make_lr_scheduler(optimizer), "interval": "step"}
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["lr_schedulers"] = []  # walked again when training starts

    def on_train_start(self) -> None:
        if step := self.global_step:
            optimizer = self.optimizers().optimizer
            walked = walk_again(self.make_lr_scheduler, optimizer, self._groups, steps=step)
            self.lr_schedulers().load_state_dict(walked.state_dict())

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        super().optimizer_step(*args, **kwargs)
        # here, not in a hook after it: callbacks that save have come before such hooks
        if self.critic is not None:
            self.critic.step()
        self.ema.update(self.trained, self.global_step)

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        if gradient_clip_val:  # Lightning's own refuses fused optimizers, which only scaling needs
            clip = clip_grad_value_ if gradient_clip_algorithm == "value" else clip_grad_norm_
            clip(self.trained.parameters(), gradient_clip_val)
