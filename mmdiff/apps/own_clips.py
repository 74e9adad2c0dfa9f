"""A model measured on clips of one's own: what its autoencoders leave of them, the loss on them by
noise level, and how steady, loud and in sync the clips are that it makes of their captions."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from mmdiff.apps.encode import check_clip_rates
from mmdiff.apps.own_clip_tables import (
    audio_table,
    batches_of,
    clips_table,
    log_mel,
    made_tables,
    mean_figure,
    video_table,
)
from mmdiff.data.batch import ClipBatch
from mmdiff.data.clip_encoder import ClipEncoder
from mmdiff.data.file_clips import FileClips
from mmdiff.diffusion.noise import NoiseKey
from mmdiff.diffusion.noise_schedule import named_noise_schedule
from mmdiff.diffusion.objective import DiffusionObjective
from mmdiff.evaluation.evaluation import Evaluation, EvaluationRun
from mmdiff.evaluation.result import Result
from mmdiff.media.rejection import Rejection
from mmdiff.values.checks import check_sizes
from mmdiff.values.context import Context
from mmdiff.values.latent_state import LatentState
from mmdiff.values.latents import MODALITIES, ClipLatents
from mmdiff.values.sample import Sample
from mmdiff.values.usage_error import UsageError


class OwnClips(Evaluation):
    """Which of the clips of `data` are measured: the ones that it holds out (`data.val_fraction`,
    `data.val_clips`), or all of them; `num_clips` at most, spread over the list.

    num_made: clips that are made, of the first captions.
    num_levels: parts of the noise levels, of equal width; the loss is measured in each.
    """

    def __init__(self, *, num_clips: int = 64, num_made: int = 16, num_levels: int = 5) -> None:
        check_sizes(num_clips=num_clips, num_levels=num_levels)
        check_sizes(least=0, num_made=num_made)
        self.num_clips, self.num_made, self.num_levels = num_clips, num_made, num_levels

    def results(self, run: EvaluationRun) -> Iterator[Result]:
        notes: list[str] = []
        samples = self._read(run, notes)
        yield clips_table(samples, notes)
        if any(one.frames is not None for one in samples):
            yield video_table(run, samples)
        if any(one.waveform is not None for one in samples):
            yield audio_table(run, samples)
        yield self._losses(run, samples)
        if self.num_made:
            yield from made_tables(run, samples[: self.num_made])

    def _read(self, run: EvaluationRun, notes: list[str]) -> list[Sample]:
        """The clips; what has to be said about them is added to `notes`."""
        files = getattr(run.data, "val_set", None) or getattr(run.data, "dataset", None)
        if not isinstance(files, FileClips):
            raise UsageError(
                "data is not made of files, so there are no clips to measure",
                hint="data=folder, data=pairs, data=shards or data=several",
            )
        if files is run.data.dataset:
            notes.append(
                "all clips of the data are measured: leave out those that were trained on, or hold "
                "some out in training and here (data.val_fraction=0.1)"
            )
        clips, grid, config = files.clips, run.pipe.latent_grid, run.pipe.config
        check_clip_rates(clips, log_mel(grid), grid)
        count = min(self.num_clips, len(clips.entries))
        samples, bad = list[Sample](), list[Rejection]()
        for number in range(count):
            one: Any = clips[number * len(clips.entries) // count]
            (bad if isinstance(one, Rejection) else samples).append(one)
            run.progress("reading", number + 1, count)
        if not samples:
            problem = bad[0].message if bad else "no clips are listed under data.root"
            raise UsageError(f"none of {count} clips can be measured: {problem}")
        if bad:
            notes.append(f"{len(bad)} of {count} clips are left out; data-check says why")
        trained = {name: config[f"default_{name}"] for name in ("num_frames", "height", "width")}
        if trained != (asked := {name: getattr(clips.spec, name) for name in trained}):
            hint = " ".join(f"data.spec.{name}={size}" for name, size in trained.items())
            notes.append(
                f"clips are brought to {asked['num_frames']} frames of {asked['height']} x "
                f"{asked['width']}; the checkpoint was trained for {hint}"
            )
        return samples

    def _losses(self, run: EvaluationRun, samples: Sequence[Sample]) -> Result:
        """The mean loss of each modality where the noise level lies in each part of [0, 1]."""
        pipe, grid = run.pipe, run.pipe.latent_grid
        encoder = ClipEncoder(pipe.vae, pipe.audio_vae, log_mel(grid), grid).to(pipe.device)
        schedule = named_noise_schedule(pipe.config.noise_schedule)
        objective = DiffusionObjective(schedule, pipe.config.parameterization)
        levels = [(k / self.num_levels, (k + 1) / self.num_levels) for k in range(self.num_levels)]
        found: dict[tuple[str, int], list[float]] = {}
        done = 0
        for part in batches_of(samples, run.batch_size):
            batch = ClipBatch.collate(list(enumerate(part)))
            key = NoiseKey(run.seed, 0, tuple(one.key for one in part))
            state = LatentState(encoder(batch.to(pipe.device)))
            tokens, mask, *_ = pipe.encode_prompt(list(batch.captions), None, False)
            for index, quantiles in enumerate(levels):
                losses, _ = objective.each(
                    _backbone(pipe.transformer),
                    state,
                    Context(tokens, mask),
                    key,
                    quantiles=quantiles,
                )
                for name, loss in losses.items():
                    found.setdefault((name, index), []).extend(loss.tolist())
            done += len(batch)
            run.progress("loss", done, len(samples))
        figures = [
            mean_figure(f"{name}, noise {low:g} to {high:g}", found.get((name, index), ()))
            for name in MODALITIES
            for index, (low, high) in enumerate(levels)
        ]
        absent = [name for name in MODALITIES if (name, 0) not in found]
        notes = tuple(f"these clips have no {name}: no loss of it" for name in absent)
        title = f"Loss by noise level (0 clean, 1 noise), {pipe.config.parameterization}"
        return Result("loss", title, tuple(figures), notes)


def _backbone(transformer: Any) -> Any:
    """In the precision of its weights; the loss is in fp32."""

    @torch.no_grad()
    def predict(latents: ClipLatents, time: ClipLatents, context: Context) -> ClipLatents:
        dtype = transformer.dtype
        prediction: ClipLatents = transformer(latents.to(dtype), time, context.to(dtype))
        return prediction

    return predict
