"""The losses of a batch of which every sample has its own task."""

from dataclasses import dataclass
from functools import partial

from einops import reduce
from torch import Tensor, nn

from mmdiff.data.task_mixture import TaskBatch
from mmdiff.diffusion.noise import NoiseKey
from mmdiff.diffusion.objective import DiffusionObjective
from mmdiff.values.context import Context
from mmdiff.values.latents import MODALITIES, Modality


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
    denoise = partial(backbone, ablation=batch.ablation)
    losses, levels = objective.each(denoise, batch.state, context, key)
    samples = []
    for name, loss in losses.items():
        level = levels.get(name)
        assert level is not None
        noisiest = reduce(level, "b ... -> b", "max")
        samples.append(SampleLoss(batch.names, name, loss.detach(), noisiest))
    total = objective.total({name: loss.mean() for name, loss in losses.items()})
    if len(losses) < len(MODALITIES):
        # the weights of an absent modality get a gradient of 0: averaging over ranks waits for one
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
    denoise = partial(backbone, ablation=batch.ablation)
    losses, _ = objective.each(denoise, batch.state, context, key, quantiles=quantiles)
    return objective.total(losses)
