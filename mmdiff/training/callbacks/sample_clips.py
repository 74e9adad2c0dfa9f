"""Makes clips while training, with the averaged weights: files, storyboards, and entries of the
logger."""

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from mmdiff.loading.finite import NonFiniteOutput
from mmdiff.media.clip import Clip
from mmdiff.media.storyboard import save_storyboard, storyboard
from mmdiff.training.callbacks.save_checkpoints import has_stepped
from mmdiff.values.checks import check_sizes
from mmdiff.values.file_path import FilePath

_log = logging.getLogger(__name__)


class SampleClips(Callback):
    """Every `every_n_steps` steps a clip for each of `prompts`, always from the same noise.

    `pipeline` is called with the components that are being trained and gives a pipeline; what else
    it needs (autoencoders, vocoder, scheduler) it already has. Clip i uses seed + i, so clips of
    different steps can be compared.
    """

    def __init__(
        self,
        pipeline: Callable[..., Any],
        folder: FilePath,
        *,
        prompts: Sequence[str],
        every_n_steps: int = 1000,
        seed: int = 0,
        num_inference_steps: int = 30,
    ) -> None:
        check_sizes(
            most=10**9, every_n_steps=every_n_steps, num_inference_steps=num_inference_steps
        )
        self.pipeline, self.folder, self.prompts = pipeline, Path(folder), list(prompts)
        self.every_n_steps, self.seed = every_n_steps, seed
        self.num_inference_steps = num_inference_steps

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        is_due = trainer.global_step % self.every_n_steps == 0
        if is_due and has_stepped(trainer, batch_idx) and trainer.is_global_zero:
            try:
                self.save(trainer, self.make(pl_module))
            except NonFiniteOutput as error:  # FiniteGuard judges the training, not one sample
                _log.warning("no samples at step %d: %s", trainer.global_step, error)

    @torch.no_grad()
    def make(self, module: LightningModule) -> list[Clip]:
        """One clip for each prompt; nothing of the training state is touched."""
        components = module.components(())  # no batches: nothing has to be measured for a sample
        pipeline = self.pipeline(**components).to(module.device)
        pipeline.set_progress_bar_config(disable=True)
        generators = [
            torch.Generator().manual_seed(self.seed + index) for index in range(len(self.prompts))
        ]
        with torch.autocast(module.device.type, enabled=False):  # as the finished pipeline runs
            output = pipeline(
                self.prompts,
                generator=generators,
                num_inference_steps=self.num_inference_steps,
            )
        clips: list[Clip] = output.clips
        return clips

    def save(self, trainer: Trainer, clips: Sequence[Clip]) -> None:
        folder = self.folder / f"step_{trainer.global_step:08d}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "prompts.json").write_text(json.dumps(self.prompts, indent=1))
        for index, (clip, prompt) in enumerate(zip(clips, self.prompts, strict=True)):
            clip.save(folder / f"{index:03d}.mp4")
            save_storyboard(clip, folder / f"{index:03d}.png", caption=prompt)
            for logger in trainer.loggers:
                if isinstance(logger, TensorBoardLogger):
                    _show(logger.experiment, clip, index, prompt, trainer.global_step)
        _log.info("saved %d clips to %s", len(clips), folder)


def _show(writer: Any, clip: Clip, index: int, prompt: str, step: int) -> None:
    """In TensorBoard."""
    name, board = f"samples/{index:03d}", storyboard(clip, caption=prompt)
    writer.add_image(name, board, step, dataformats="HWC")
    if clip.waveform is not None:
        writer.add_audio(f"{name}/sound", clip.waveform[:1], step, sample_rate=clip.sample_rate)
