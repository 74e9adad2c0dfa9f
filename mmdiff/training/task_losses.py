"""The losses of a batch of which every sample has its own task."""

from dataclasses import dataclass

from torch import Tensor, nn

from mmdiff.data.task_mixture import TaskBatch
from mmdiff.diffusion.noise import NoiseKey
from mmdiff.diffusion.objective import Backbone, DiffusionObjective
from mmdiff.testing.fault_plan import spoiled
from mmdiff.values.context import Context
from mmdiff.values.latents import MODALITIES, ClipLatents, Modality


@dataclass(frozen=True)
class SampleLoss:
    """The loss of samples that share a modality and a batch, detached.

    tasks   names, one per sample
    loss    b, mean over what is generated; 0 where nothing is
    level   b, the noise level of its noisiest token
    """

    tasks: tuple[str, ...]
    modality: Modality
    loss: Tensor
    level: Tensor


def task_losses(
    objective: DiffusionObjective,
    backbone: nn.Module,
    batch: TaskBatch,
    context: Context,
    key: NoiseKey,
) -> tuple[dict[str, Tensor], list[SampleLoss]]:
    """Losses as `DiffusionObjective` gives them, and those of the samples."""
    losses, levels = objective.each(_ablated(backbone, batch), batch.state, context, key)
    samples = [
        SampleLoss(batch.names, name, loss.detach(), _noisiest(levels, name))
        for name, loss in losses.items()
    ]
    means = {
        name: spoiled(loss.mean(), f"train.loss.{name}", key.step) for name, loss in losses.items()
    }
    total = objective.total(means)
    if len(losses) < len(MODALITIES):
        # what an absent half leaves unused gets a gradient of 0: averaging over ranks waits for it
        total["loss"] = total["loss"] + 0.0 * sum(p.sum() for p in backbone.parameters())
    return total, samples


def held_out_losses(
    objective: DiffusionObjective,
    backbone: nn.Module,
    batch: TaskBatch,
    context: Context,
    key: NoiseKey,
    *,
    quantiles: tuple[float, float],
) -> dict[str, Tensor]:
    """The loss of each sample, b, in all and by modality, at times between two quantiles."""
    denoise = _ablated(backbone, batch)
    losses, _ = objective.each(denoise, batch.state, context, key, quantiles=quantiles)
    return objective.total(losses)


def _ablated(backbone: nn.Module, batch: TaskBatch) -> Backbone:
    def denoise(latents: ClipLatents, time: ClipLatents, context: Context) -> ClipLatents:
        prediction: ClipLatents = backbone(latents, time, context, ablation=batch.ablation)
        return prediction

    return denoise


def _noisiest(levels: ClipLatents, name: Modality) -> Tensor:
    level = levels.get(name)
    assert level is not None
    return level.amax(tuple(range(1, level.ndim)))
