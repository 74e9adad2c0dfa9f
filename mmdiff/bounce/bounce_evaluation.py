"""The measures of the bounce world: a pipeline makes clips, the judge reads them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch

from mmdiff.bounce.adherence import adherence, adherence_held_out
from mmdiff.bounce.bounce import Bounce
from mmdiff.bounce.caption import caption
from mmdiff.bounce.dataset import BounceDataset, random_prompts
from mmdiff.bounce.judge import Reading, judge
from mmdiff.bounce.listening import Heard, listen
from mmdiff.bounce.studies.rebuilt import rebuilt_frames, rebuilt_waveforms
from mmdiff.data.batch import ClipBatch
from mmdiff.evaluation.evaluation import Evaluation, EvaluationRun, Make, Progress
from mmdiff.evaluation.reconstruction import audio_reconstruction, video_reconstruction
from mmdiff.evaluation.result import Result
from mmdiff.evaluation.sync import sync
from mmdiff.pipelines.pipeline import MMDiffPipeline
from mmdiff.values.shapes import ClipShape

SILENT = "no sound"


class BounceEvaluation(Evaluation):
    """Which prompts and clips are measured, and how many.

    other_shapes: (num_frames, height, width) that the model was not trained on.
    """

    def __init__(
        self,
        *,
        num_seen: int = 200,
        num_held_out: int = 100,
        num_reconstructed: int = 200,
        num_other: int = 32,
        other_shapes: Sequence[tuple[int, int, int]] = ((65, 64, 64), (33, 96, 96)),
        prompt_seed: int = 2024,
    ) -> None:
        self.num_seen, self.num_held_out = num_seen, num_held_out
        self.num_reconstructed, self.num_other = num_reconstructed, num_other
        self.other_shapes = [(frames, height, width) for frames, height, width in other_shapes]
        self.prompt_seed = prompt_seed

    def results(self, run: EvaluationRun) -> Iterator[Result]:
        """One table after the other, as each is finished; none where nothing was asked for."""
        pipe, make, seed, batch_size = run.pipe, run.make, run.seed, run.batch_size
        progress = run.progress
        if self.num_seen:
            events = random_prompts(self.num_seen, self.prompt_seed, held_out=False)
            readings = self._read(events, make, {}, seed, batch_size, "seen", progress)
            yield adherence(events, readings)
            yield sync(readings, has_sound=[event.sound != SILENT for event in events])
        if self.num_held_out:
            events = random_prompts(self.num_held_out, self.prompt_seed, held_out=True)
            readings = self._read(events, make, {}, seed, batch_size, "held out", progress)
            yield adherence_held_out(events, readings)
        if self.num_reconstructed:
            yield from self._reconstruction(pipe, batch_size, progress)
        for frames, height, width in self.other_shapes if self.num_other else ():
            events = random_prompts(self.num_other, self.prompt_seed, held_out=False)
            sizes = {"num_frames": frames, "height": height, "width": width}
            title = f"{frames} frames of {width} x {height}"
            readings = self._read(events, make, sizes, seed, batch_size, title, progress)
            name = f"{frames}x{height}x{width}"
            found = adherence(events, readings, wanted={}, name=f"adherence_{name}")
            yield replace(found, title=f"Adherence, {title} (not trained on)")
            has_sound = [event.sound != SILENT for event in events]
            found = sync(readings, has_sound=has_sound, name=f"sync_{name}", title=f"Sync, {title}")
            yield replace(found, figures=tuple(replace(f, wanted=None) for f in found.figures))

    def _read(
        self,
        events: Sequence[Bounce],
        make: Make,
        sizes: dict[str, Any],
        seed: int,
        batch_size: int,
        name: str,
        progress: Progress,
    ) -> list[Reading]:
        readings: list[Reading] = []
        for first in range(0, len(events), batch_size):
            batch = events[first : first + batch_size]
            seeds = [seed + first + row for row in range(len(batch))]
            clips = make([caption(event) for event in batch], seeds, sizes)
            readings += [judge(clip) for clip in clips]
            progress(name, len(readings), len(events))
        return readings

    def _reconstruction(
        self, pipe: MMDiffPipeline, batch_size: int, progress: Progress
    ) -> Iterator[Result]:
        grid = pipe.latent_grid
        shape = ClipShape(frame_rate=grid.frame_rate, sample_rate=grid.sample_rate)
        # Another seed than any training run's: clips that no autoencoder has seen.
        clips = BounceDataset(
            self.num_reconstructed, self.prompt_seed + 1_000_003, split="all", shape=shape
        )
        before: list[torch.Tensor] = []
        after: list[torch.Tensor] = []
        heard: list[tuple[Heard, Heard]] = []
        silences: list[torch.Tensor] = []
        for first in range(0, len(clips), batch_size):
            rows = range(first, min(first + batch_size, len(clips)))
            samples = [clips[row] for row in rows]
            frames = ClipBatch.collate(list(zip(rows, samples, strict=True))).picture
            before += list(frames)
            after += list(rebuilt_frames(pipe, frames))
            waveforms = rebuilt_waveforms(pipe, samples)
            for row, sample, waveform in zip(rows, samples, waveforms, strict=True):
                if clips.event(row).sound == SILENT:
                    silences.append(waveform)
                    continue
                pair = (sample.waveform, waveform)
                heard.append(tuple(listen(sound, grid.sample_rate) for sound in pair))  # type: ignore[arg-type]
            progress("reconstruction", len(before), len(clips))
        yield video_reconstruction(before, after)
        if heard:
            originals, rebuilt = zip(*heard, strict=True)
            yield audio_reconstruction(originals, rebuilt, silences=silences)
