"""The socket between Lightning and a diffusion transformer with its text encoder."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from mmdiff.data.batch import ClipBatch, LatentBatch
from mmdiff.data.task_mixture import TaskMixture
from mmdiff.diffusion.noise import NoiseKey, keyed_uniform
from mmdiff.diffusion.objective import DiffusionObjective
from mmdiff.text.tokenizer import keep_words
from mmdiff.training.inputs import LatentsInput
from mmdiff.training.task_losses import held_out_losses, task_losses
from mmdiff.training.text_model import TextModel
from mmdiff.training.training_module import TrainingModule
from mmdiff.values.checks import check_fractions
from mmdiff.values.latents import Modality

NUM_QUANTILES = 4  # of the times, in validation


class DiffusionModule(TrainingModule[nn.ModuleDict]):
    """Trains `transformer`, and the text encoder along with it unless that is frozen, on latents
    and captions; on clips, where `inputs` makes latents of them.

    Each sample has its own task, drawn from `tasks`; a `caption_dropout` part of the captions is
    replaced by the empty prompt, which guidance needs, and `caption_dropout_given` of those whose
    task gives a part of the clip, so that the model learns to look at it and not only at the text.
    All chance is keyed by (seed, step, sample).
    Its components are transformer, text encoder (what is trained averaged) and tokenizer.
    """

    def __init__(
        self,
        transformer: nn.Module,
        text: TextModel,
        objective: DiffusionObjective,
        *,
        tasks: TaskMixture | None = None,
        inputs: LatentsInput | None = None,
        optimizer: Callable[..., Optimizer],
        lr_scheduler: Callable[[Optimizer], LRScheduler],
        seed: int,
        ema_decay: float = 0.999,
        caption_dropout: float = 0.1,
        caption_dropout_given: float | None = None,
    ) -> None:
        given = caption_dropout if caption_dropout_given is None else caption_dropout_given
        check_fractions(caption_dropout=caption_dropout, caption_dropout_given=given)
        modules = {"transformer": transformer}
        if text.is_trained:
            modules["text_encoder"] = text.text_encoder
        super().__init__(
            nn.ModuleDict(modules),
            optimizer=optimizer,
            lr_scheduler=lr_scheduler,
            seed=seed,
            ema_decay=ema_decay,
        )
        self.text, self.objective = text, objective
        self.caption_dropout, self.caption_dropout_given = caption_dropout, given
        self.tasks, self.inputs = tasks or TaskMixture(), inputs

    def training_step(self, batch: ClipBatch | LatentBatch, batch_index: int) -> dict[str, Any]:
        batch = self.latents_of(batch)
        key = self.key(batch)
        tasks = self.tasks.draw(batch.latents, key, self.modalities_of_data)
        dropped = self.dropped_captions(key, tasks.gives)
        context = self.text.read(batch.captions, self.device, dropped=dropped, cached=batch.context)
        backbone = self.trained["transformer"]
        losses, samples = task_losses(self.objective, backbone, tasks, context, key)
        return {"loss": self.log_losses(losses), "samples": samples}

    def latents_of(self, batch: ClipBatch | LatentBatch) -> LatentBatch:
        """Raises ValueError for clips, where no autoencoders are there to encode them."""
        if self.inputs is not None:
            return self.inputs(batch, self.device)
        if isinstance(batch, ClipBatch):
            raise ValueError(
                "these are clips; give latents of a cache, or inputs=LatentsInput(...)"
            )
        return batch

    def losses_of(self, batch: ClipBatch | LatentBatch, batch_index: int) -> dict[str, Tensor]:
        """Each clip at one time of each quarter of the density that times are drawn from, with its
        caption: "loss", "loss/video", "loss/audio" over all of them, "loss/t_q1" (the least noise)
        to "loss/t_q4" for each."""
        batch = self.latents_of(batch)
        average = self.ema.average
        encoder = average["text_encoder"] if self.text.is_trained else None
        context = self.text.read(batch.captions, self.device, cached=batch.context, encoder=encoder)
        found: dict[str, list[Tensor]] = defaultdict(list)
        for part in range(NUM_QUANTILES):
            # one family of tasks is drawn for all of a batch
            draw = self.held_out_key(batch, NUM_QUANTILES * batch_index + part)
            losses = held_out_losses(
                self.objective,
                average["transformer"],
                self.tasks.draw(batch.latents, draw, self.modalities_of_data),
                context,
                self.held_out_key(batch, part),
                quantiles=(part / NUM_QUANTILES, (part + 1) / NUM_QUANTILES),
            )
            for name, loss in {**losses, f"loss/t_q{part + 1}": losses["loss"]}.items():
                found[name].append(loss)
        return {name: torch.stack(losses).mean(0) for name, losses in found.items()}

    @property
    def modalities_of_data(self) -> Collection[Modality] | None:
        """What the clips of the training set have between them, where it knows."""
        return getattr(getattr(self.trainer, "datamodule", None), "modalities", None)

    def dropped_captions(self, key: NoiseKey, gives: tuple[bool, ...]) -> Tensor:
        """b, bool: which captions are left out; `gives`: whether the task conditions on a part."""
        drawn = keyed_uniform(key, "caption_dropout")
        given = torch.tensor(gives)
        return drawn < torch.where(given, self.caption_dropout_given, self.caption_dropout)

    def components(self, batches: Iterable[LatentBatch]) -> dict[str, Any]:
        text = {"text_encoder": self.text.text_encoder, "tokenizer": self.text.tokenizer}
        if self.text.is_trained:
            dataset = getattr(batches, "dataset", None)
            dataset = getattr(dataset, "dataset", dataset)  # what a loader has wrapped
            entries = getattr(getattr(dataset, "clips", dataset), "entries", ())
            keep_words(self.text.tokenizer, [entry.caption for entry in entries])
        return {**text, **self.ema.average}
