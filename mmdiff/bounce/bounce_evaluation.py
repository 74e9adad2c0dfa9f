"""The measures of the bounce world: a pipeline makes clips, the judge reads them."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from mmdiff.bounce.adherence import WANTED, WANTED_HELD_OUT, Pair, adherence, impact_sync
from mmdiff.bounce.bounce import Bounce
from mmdiff.bounce.caption import caption
from mmdiff.bounce.dataset import BounceDataset, random_prompts
from mmdiff.bounce.draw import draw_frames, draw_waveform
from mmdiff.bounce.judge import judge
from mmdiff.bounce.listening import Heard, listen
from mmdiff.bounce.rebuilt import rebuilt_frames, rebuilt_waveforms
from mmdiff.evaluation.evaluation import Evaluation, EvaluationRun
from mmdiff.evaluation.reconstruction import video_reconstruction
from mmdiff.evaluation.result import Figure, Result, quantile
from mmdiff.evaluation.sync import distances
from mmdiff.values.shapes import ClipShape

WANTED_ONSET, WANTED_PITCH, WANTED_SILENCE = 10.0, 1.0, -60.0  # milliseconds, percent, dBFS
UNSEEN_SEED = 1_000_003  # added to the seed of the prompts: clips that no training run has drawn


@dataclass(frozen=True, kw_only=True)
class BounceEvaluation(Evaluation):
    """Which prompts and clips are measured, and how many.

    other_shapes: (num_frames, height, width) that the model was not trained on.
    """

    num_seen: int = 200
    num_held_out: int = 100
    num_reconstructed: int = 200
    num_other: int = 32
    other_shapes: Sequence[tuple[int, int, int]] = ((65, 64, 64), (33, 96, 96))
    prompt_seed: int = 2024

    def results(self, run: EvaluationRun) -> Iterator[Result]:
        """One table after the other, as each is finished; none where nothing was asked for."""
        if self.num_seen:
            events = random_prompts(self.num_seen, self.prompt_seed, held_out=False)
            pairs = _read(run, "seen", events)
            yield adherence("adherence", "Adherence, seen triples", pairs, wanted=WANTED)
            yield impact_sync(pairs)
        if self.num_held_out:
            events = random_prompts(self.num_held_out, self.prompt_seed, held_out=True)
            pairs, title = _read(run, "held out", events), "Adherence, held-out triples"
            yield adherence("adherence_held_out", title, pairs, wanted=WANTED_HELD_OUT)
        if self.num_reconstructed:
            yield from self._reconstruction(run)
        for frames, height, width in self.other_shapes if self.num_other else ():
            events = random_prompts(self.num_other, self.prompt_seed, held_out=False)
            name, title = f"{frames}x{height}x{width}", f"{frames} frames of {width} x {height}"
            sizes = {"num_frames": frames, "height": height, "width": width}
            pairs = _read(run, title, events, **sizes)
            yield adherence(f"adherence_{name}", f"Adherence, {title} (not trained on)", pairs)
            found = impact_sync(pairs, f"sync_{name}", f"Sync, {title}")
            yield replace(found, figures=tuple(replace(f, wanted=None) for f in found.figures))

    def _reconstruction(self, run: EvaluationRun) -> Iterator[Result]:
        grid = run.pipe.latent_grid
        shape = ClipShape(frame_rate=grid.frame_rate, sample_rate=grid.sample_rate)
        seed = self.prompt_seed + UNSEEN_SEED
        clips = BounceDataset(self.num_reconstructed, seed, split="all")
        before: list[Tensor] = []
        after: list[Tensor] = []
        heard: list[tuple[Heard, Heard]] = []
        silences: list[Tensor] = []
        for _, rows in run.batches("reconstruction", range(len(clips))):
            events = [clips.event(row) for row in rows]
            frames = torch.stack([draw_frames(event, shape) for event in events])
            sounds = torch.cat([draw_waveform(event, shape) for event in events])
            before += frames
            after += rebuilt_frames(run.pipe, frames)
            made = rebuilt_waveforms(run.pipe, sounds)
            for event, one, other in zip(events, sounds, made, strict=True):
                if event.is_silent:
                    silences.append(other)
                else:
                    both = listen(one[None], grid.sample_rate), listen(other, grid.sample_rate)
                    heard.append(both)
        yield video_reconstruction(before, after)
        if heard:
            yield audio_reconstruction(heard, silences)


def audio_reconstruction(
    heard: Sequence[tuple[Heard, Heard]], silences: Sequence[Tensor] = ()
) -> Result:
    """Onsets and pitch of the sounds before and after; and how loud what should be silence is.

    `heard` in clips with sound, `silences` the reconstructed waveforms of clips without.
    """
    gaps = [1e3 * gap for one, other in heard for gap in distances(one.onsets, other.onsets)]
    bends = [
        100 * abs((math.inf if other.pitch is None else other.pitch) / one.pitch - 1)
        for one, other in heard
        if one.pitch is not None
    ]
    loudest = max((level_dbfs(waveform) for waveform in silences), default=math.nan)
    in_tune = 100 * sum(bend <= WANTED_PITCH for bend in bends) / max(1, len(bends))
    onset, pitch = quantile(gaps, 0.5), quantile(bends, 0.5)
    figures = (
        Figure("onset error, median", onset, "ms", WANTED_ONSET, "lower", len(gaps)),
        Figure("onset error, 90th percentile", quantile(gaps, 0.9), "ms", count=len(gaps)),
        Figure("pitch error, median", pitch, "%", WANTED_PITCH, "lower", len(bends)),
        Figure("pitch within 1 %", in_tune, "% of clips", count=len(bends)),
        Figure("loudest silence", loudest, "dBFS", WANTED_SILENCE, "lower", len(silences)),
    )
    return Result("audio_reconstruction", "Audio chain: mel, autoencoder, vocoder", figures)


def level_dbfs(waveform: Tensor) -> float:
    """Root mean square level in dB of full scale; minus infinity for digital silence."""
    power = float(waveform.double().square().mean())
    return 10 * math.log10(power) if power > 0 else -math.inf


def _read(run: EvaluationRun, label: str, events: Sequence[Bounce], **settings: Any) -> list[Pair]:
    """What is asked for, and what the judge reads in the clip that is made of its caption."""
    pairs: list[Pair] = []
    for first, batch in run.batches(label, events):
        prompts = [caption(event) for event in batch]
        clips = run.make(prompts, run.seeds(first, len(batch)), settings)
        pairs += [(event, judge(clip)) for event, clip in zip(batch, clips, strict=True)]
    return pairs
