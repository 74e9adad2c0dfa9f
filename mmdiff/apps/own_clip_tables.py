"""Tables about clips of any kind: through the autoencoders and back, and made beside true ones."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from mmdiff.autoencoders.mel import LogMel
from mmdiff.bounce.rebuilt import rebuilt_frames, rebuilt_waveforms
from mmdiff.data.check.loudness import loudness_of
from mmdiff.evaluation.consistency import color_drift, flicker, warp_error
from mmdiff.evaluation.evaluation import EvaluationRun
from mmdiff.evaluation.events import audio_onsets, motion_events
from mmdiff.evaluation.reconstruction import psnr, video_reconstruction
from mmdiff.evaluation.result import Figure, Result, quantile
from mmdiff.evaluation.sync import WITHIN_SECONDS, recall
from mmdiff.values.latents import MODALITIES
from mmdiff.values.sample import Sample
from mmdiff.values.shapes import LatentGrid

LEAST_FRAMES = 4  # of what moves: a change of velocity takes so many
_STEADINESS: dict[str, Callable[[Any], float]] = {
    "flicker": flicker,
    "warp error": warp_error,
    "drift of color": color_drift,
}


def clips_table(samples: Sequence[Sample], notes: Sequence[str]) -> Result:
    with_both = [one for one in samples if one.frames is not None and one.waveform is not None]
    figures = (
        Figure("clips", float(len(samples))),
        Figure("with video and audio", float(len(with_both))),
        Figure("silent", float(sum(map(_is_silent, samples)))),
    )
    return Result("clips", "Clips", figures, tuple(notes))


def video_table(run: EvaluationRun, samples: Sequence[Sample]) -> Result:
    seen = [one for one in samples if one.frames is not None]
    rebuilt = _through(
        run,
        seen,
        "video",
        lambda part: rebuilt_frames(run.pipe, torch.stack([one.frames for one in part])),  # type: ignore[misc]
    )
    pairs: list[Any] = [(one.frames, rebuilt[one.key]) for one in seen]
    moving = [pair for pair in pairs if len(pair[0]) > 2]
    ratios = [psnr(*pair) for pair in pairs if len(pair[0]) <= 2]
    figures: list[Figure] = []
    if moving:
        figures += video_reconstruction(*zip(*moving, strict=True)).figures
    if ratios:
        figures.append(Figure("PSNR, median image", quantile(ratios, 0.5), "dB", count=len(ratios)))
    # What the bundled model must reach says nothing about clips of another kind.
    plain = tuple(replace(figure, wanted=None) for figure in figures)
    return Result("video_reconstruction", "Video autoencoder", plain)


def audio_table(run: EvaluationRun, samples: Sequence[Sample]) -> Result:
    rate = run.pipe.latent_grid.sample_rate
    heard = [one for one in samples if one.waveform is not None]
    rebuilt = _through(
        run,
        heard,
        "audio",
        lambda part: rebuilt_waveforms(run.pipe, torch.cat([one.waveform for one in part])),  # type: ignore[misc]
    )
    after_silence = [_loudness(rebuilt[one.key], rate) for one in heard if _is_silent(one)]
    pairs: list[Any] = [(s.waveform, rebuilt[s.key]) for s in heard if not _is_silent(s)]
    before, after = ([audio_onsets(pair[index], rate) for pair in pairs] for index in (0, 1))
    changes = [abs(_loudness(after, rate) - _loudness(before, rate)) for before, after in pairs]
    figures = (
        mean_figure(
            "log-mel error", [_log_mel_error(one, other, rate) for one, other in pairs], "dB"
        ),
        mean_figure("change of loudness", changes, "LU"),
        recall("onset recall", before, after),
        recall("onset precision", after, before),
        mean_figure("loudness of what was silent", after_silence, "LUFS", better="higher"),
    )
    notes = () if pairs else ("all of these clips are silent: only their silence is measured",)
    return Result("audio_reconstruction", "Audio chain: mel, autoencoder, vocoder", figures, notes)


def made_tables(run: EvaluationRun, samples: Sequence[Sample]) -> Iterator[Result]:
    """Steadiness, loudness and sync of clips that are made of the captions, beside the true
    ones."""
    made: dict[str, Sample] = {}
    for part in batches_of(samples, run.batch_size):
        seeds = [run.seed + len(made) + row for row in range(len(part))]
        new = run.make([one.caption for one in part], seeds, _settings_of(part[0]))
        for one, clip in zip(part, new, strict=True):
            made[one.key] = replace(one, frames=clip.frames, waveform=clip.waveform)
        run.progress("making clips", len(made), len(samples))
    pairs = {"made": [made[one.key] for one in samples], "true": list(samples)}
    figures = [
        mean_figure(f"{name}, {which}", [measure(c.frames) for c in clips if _moves(c)], "of 255")
        for name, measure in _STEADINESS.items()
        for which, clips in pairs.items()
    ]
    notes = () if any(map(_moves, samples)) else ("these clips do not move: no flicker, no drift",)
    yield Result("steadiness", "Clips that are made of the captions", tuple(figures), notes)
    grid = run.pipe.latent_grid
    yield _loudness_table(pairs, grid.sample_rate)
    yield _sync_table(pairs, float(grid.frame_rate), grid.sample_rate)


def _loudness_table(pairs: dict[str, list[Sample]], rate: int) -> Result:
    figures: list[Figure] = []
    for which, clips in pairs.items():
        heard = [one for one in clips if one.waveform is not None]
        levels = [_loudness(one.waveform, rate) for one in heard if not _is_silent(one)]
        figures.append(mean_figure(f"loudness, {which}", levels, "LUFS", better="higher"))
        silent = 100 * sum(map(_is_silent, heard)) / len(heard) if heard else math.nan
        figures.append(Figure(f"silent, {which}", silent, "% of clips", count=len(heard)))
    has_sound = any(one.waveform is not None for one in pairs["true"])
    notes = () if has_sound else ("these clips have no audio: no loudness",)
    return Result("loudness", "Loudness", tuple(figures), notes)


def _sync_table(pairs: dict[str, list[Sample]], frame_rate: float, rate: int) -> Result:
    within = max(WITHIN_SECONDS, 1 / frame_rate)
    figures: list[Figure] = []
    for which, clips in pairs.items():
        both: list[Any] = [one for one in clips if _moves(one) and one.waveform is not None]
        found = [
            (motion_events(one.frames, frame_rate), audio_onsets(one.waveform, rate))
            for one in both
        ]
        # A clip without onsets, or in which nothing happens, has nothing to be in sync.
        eventful = [pair for pair in found if all(pair)]
        events, onsets = ([pair[index] for pair in eventful] for index in (0, 1))
        figures += [
            recall(f"onsets at an event, {which}", onsets, events, within_seconds=within),
            recall(f"events with an onset, {which}", events, onsets, within_seconds=within),
            Figure(f"clips with both, {which}", float(len(eventful)), count=len(both)),
        ]
    notes = () if figures[-1].value else ("no true clip has both onsets and changes of motion",)
    title = f"Sync: onsets and events (changes of motion), within {1e3 * within:.0f} ms"
    return Result("sync", title, tuple(figures), notes)


def _through(
    run: EvaluationRun,
    samples: Sequence[Sample],
    name: str,
    rebuild: Callable[[list[Sample]], Tensor],
) -> dict[str, Tensor]:
    """By the keys of the clips, what comes out of the autoencoders."""
    rebuilt: dict[str, Tensor] = {}
    for part in batches_of(samples, run.batch_size):
        rebuilt |= {one.key: out for one, out in zip(part, rebuild(part), strict=True)}
        run.progress(name, len(rebuilt), len(samples))
    return rebuilt


def batches_of(samples: Sequence[Sample], size: int) -> Iterator[list[Sample]]:
    """Those that make a batch: of equal shapes."""
    alike: dict[Any, list[Sample]] = {}
    for one in samples:
        shapes = [None if part is None else part.shape for part in (one.frames, one.waveform)]
        alike.setdefault(tuple(shapes), []).append(one)
    for group in alike.values():
        yield from (group[first : first + size] for first in range(0, len(group), size))


def _settings_of(sample: Sample) -> dict[str, Any]:
    """Of the pipeline, so that it makes a clip like this one."""
    parts = zip(MODALITIES, (sample.frames, sample.waveform), strict=True)
    settings: dict[str, Any] = {"modalities": [name for name, part in parts if part is not None]}
    if sample.frames is not None:
        settings |= dict(zip(("num_frames", "height", "width"), sample.frames.shape, strict=False))
    return settings


def _moves(sample: Sample) -> bool:
    return sample.frames is not None and len(sample.frames) >= LEAST_FRAMES


def _is_silent(sample: Sample) -> bool:
    if sample.waveform is None or sample.sample_rate is None:
        return False
    return loudness_of(sample.waveform, sample.sample_rate).is_silence


def _loudness(waveform: Any, sample_rate: int) -> float:
    return loudness_of(waveform, sample_rate).value


def log_mel(grid: LatentGrid) -> LogMel:
    return LogMel(grid.sample_rate, hop_length=grid.hop_length, mel_bins=grid.mel_bins)


def _log_mel_error(before: Tensor, after: Tensor, sample_rate: int) -> float:
    """Mean absolute difference of the log-mels, in dB; of whole hops."""
    mel = LogMel(sample_rate)
    length = before.shape[-1] - before.shape[-1] % mel.hop_length
    difference = mel(before[:, :length]) - mel(after[:, :length])
    decibels = 10 / math.log(10) * (mel.log_ceiling - mel.log_floor)  # of a difference of 1
    return decibels * float(difference.abs().mean())


def mean_figure(
    name: str, values: Sequence[float], unit: str = "", better: Any = "lower"
) -> Figure:
    mean = sum(values) / len(values) if values else math.nan
    return Figure(name, mean, unit, better=better, count=len(values))
