"""A model measured on clips of one's own: what its autoencoders leave of them, the loss on them by
noise level, and how steady, loud and in sync the clips are that it makes of their captions."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from mmdiff.apps.encode import check_clip_rates
from mmdiff.autoencoders.mel import LogMel
from mmdiff.bounce.rebuilt import rebuilt_frames, rebuilt_waveforms
from mmdiff.data.batch import ClipBatch
from mmdiff.data.check.loudness import loudness_of
from mmdiff.data.clip_encoder import ClipEncoder
from mmdiff.data.file_clips import FileClips
from mmdiff.diffusion.noise import NoiseKey
from mmdiff.diffusion.noise_schedule import named_noise_schedule
from mmdiff.diffusion.objective import DiffusionObjective
from mmdiff.evaluation.consistency import color_drift, flicker, warp_error
from mmdiff.evaluation.evaluation import Evaluation, EvaluationRun
from mmdiff.evaluation.events import audio_onsets, motion_events
from mmdiff.evaluation.reconstruction import psnr, video_reconstruction
from mmdiff.evaluation.result import Figure, Result, quantile
from mmdiff.evaluation.sync import WITHIN_SECONDS, recall
from mmdiff.media.rejection import Rejection
from mmdiff.values.checks import check_sizes
from mmdiff.values.context import Context
from mmdiff.values.latent_state import LatentState
from mmdiff.values.latents import MODALITIES, ClipLatents
from mmdiff.values.sample import Sample
from mmdiff.values.shapes import LatentGrid
from mmdiff.values.usage_error import UsageError

LEAST_FRAMES = 4  # of what moves: a change of velocity takes so many


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
        samples, notes = self._read(run)
        moving = [one for one in samples if one.frames is not None and len(one.frames) > 2]
        stills = [one for one in samples if one.frames is not None and len(one.frames) <= 2]
        sounding = [one for one in samples if one.waveform is not None]
        yield _clips_result(samples, notes)
        if moving or stills:
            yield _video_result(run, moving, stills)
        if sounding:
            yield _audio_result(run, sounding)
        yield self._losses(run, samples)
        if self.num_made:
            chosen = samples[: self.num_made]
            yield from _made_results(run, chosen)

    def _read(self, run: EvaluationRun) -> tuple[list[Sample], list[str]]:
        """The clips, and what has to be said about them."""
        files = _held_out(run.data)
        clips, notes = files.clips, list[str]()
        if files is run.data.dataset:
            notes.append(
                "all clips of the data are measured: leave out those that were trained on, or hold "
                "some out in training and here (data.val_fraction=0.1)"
            )
        count = min(self.num_clips, len(clips.entries))
        grid = run.pipe.latent_grid
        check_clip_rates(clips, _log_mel(grid), grid)
        samples, bad = list[Sample](), list[Rejection]()
        for place in range(count):
            one = clips[place * len(clips.entries) // count]
            (bad if isinstance(one, Rejection) else samples).append(one)  # type: ignore[arg-type]
            run.progress("reading", place + 1, count)
        if not samples:
            problem = bad[0].message if bad else "no clips are listed"
            raise UsageError(f"none of {count} clips can be measured: {problem}", key="data.root")
        if bad:
            notes.append(f"{len(bad)} of {count} clips are left out; data-check says why")
        names = ("num_frames", "height", "width")
        config = run.pipe.config
        trained = {name: config[f"default_{name}"] for name in names}
        if trained != (asked := {name: getattr(clips.spec, name) for name in names}):
            hint = " ".join(f"data.spec.{name}={size}" for name, size in trained.items())
            notes.append(
                f"clips are brought to {asked['num_frames']} frames of {asked['height']} x "
                f"{asked['width']}; the checkpoint was trained for {hint}"
            )
        return samples, notes

    def _losses(self, run: EvaluationRun, samples: Sequence[Sample]) -> Result:
        """The mean loss of each modality where the noise level lies in each part of [0, 1]."""
        pipe, grid = run.pipe, run.pipe.latent_grid
        encoder = ClipEncoder(pipe.vae, pipe.audio_vae, _log_mel(grid), grid).to(pipe.device)
        objective = DiffusionObjective(
            named_noise_schedule(pipe.config.noise_schedule), pipe.config.parameterization
        )
        levels = [(k / self.num_levels, (k + 1) / self.num_levels) for k in range(self.num_levels)]
        found: dict[tuple[str, int], list[float]] = {}
        done = 0
        for part in _parts(samples, run.batch_size):
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
            _mean(f"{name}, noise {low:g} to {high:g}", found.get((name, index), ()), "", "lower")
            for name in MODALITIES
            for index, (low, high) in enumerate(levels)
        ]
        absent = [name for name in MODALITIES if (name, 0) not in found]
        notes = tuple(f"these clips have no {name}: no loss of it" for name in absent)
        title = f"Loss by noise level (0 clean, 1 noise), {pipe.config.parameterization}"
        return Result("loss", title, tuple(figures), notes)


def _held_out(data: Any) -> FileClips:
    files = getattr(data, "val_set", None) or getattr(data, "dataset", None)
    if not isinstance(files, FileClips):
        raise UsageError(
            "data is not made of files, so there are no clips to measure",
            key="data",
            cure="data=folder, data=pairs, data=shards or data=several",
        )
    return files


def _clips_result(samples: Sequence[Sample], notes: Sequence[str]) -> Result:
    with_both = [one for one in samples if one.frames is not None and one.waveform is not None]
    figures = (
        Figure("clips", float(len(samples))),
        Figure("with video and audio", float(len(with_both))),
        Figure("silent", float(sum(_is_silent(one) for one in samples))),
    )
    return Result("clips", "Clips", figures, tuple(notes))


def _video_result(run: EvaluationRun, moving: Sequence[Sample], stills: Sequence[Sample]) -> Result:
    rebuilt = _through(run, [*moving, *stills], "video", _rebuilt_frames)
    pairs = [(one.frames, rebuilt[one.key]) for one in moving]
    figures: list[Figure] = []
    if moving:
        before, after = zip(*pairs, strict=True)
        figures += video_reconstruction(before, after).figures
    if stills:
        ratios = [psnr(one.frames, rebuilt[one.key]) for one in stills]  # type: ignore[arg-type]
        figures.append(Figure("PSNR, median image", quantile(ratios, 0.5), "dB", count=len(stills)))
    plain = tuple(replace(figure, wanted=None) for figure in figures)
    return Result("video_reconstruction", "Video autoencoder", plain)


def _audio_result(run: EvaluationRun, samples: Sequence[Sample]) -> Result:
    rate = run.pipe.latent_grid.sample_rate
    rebuilt = _through(run, samples, "audio", _rebuilt_waveforms)
    loud = [one for one in samples if not _is_silent(one)]
    silent = [one for one in samples if _is_silent(one)]
    pairs = [(_sound(one), rebuilt[one.key]) for one in loud]
    gaps = [_loudness(after, rate) - _loudness(before, rate) for before, after in pairs]
    errors = [_log_mel_error(before, after, rate) for before, after in pairs]
    onsets = [(audio_onsets(before, rate), audio_onsets(after, rate)) for before, after in pairs]
    before, after = [one for one, _ in onsets], [one for _, one in onsets]
    figures = (
        _mean("log-mel error", errors, "dB", "lower"),
        _mean("change of loudness", [abs(gap) for gap in gaps], "LU", "lower"),
        recall("onset recall", before, after),
        recall("onset precision", after, before),
        _mean(
            "loudness of what was silent", [_loudness(rebuilt[s.key], rate) for s in silent], "LUFS"
        ),
    )
    notes = () if loud else ("all of these clips are silent: only their silence is measured",)
    return Result("audio_reconstruction", "Audio chain: mel, autoencoder, vocoder", figures, notes)


def _made_results(run: EvaluationRun, samples: Sequence[Sample]) -> Iterator[Result]:
    """Steadiness, loudness and sync of clips that are made, beside the true ones."""
    made: dict[str, Sample] = {}
    for part in _parts(samples, run.batch_size):
        seeds = [run.seed + len(made) + row for row in range(len(part))]
        new = run.make([one.caption for one in part], seeds, _settings_of(part[0]))
        for one, clip in zip(part, new, strict=True):
            made[one.key] = replace(one, frames=clip.frames, waveform=clip.waveform)
        run.progress("making clips", len(made), len(samples))
    pairs = {"made": [made[one.key] for one in samples], "true": list(samples)}
    grid = run.pipe.latent_grid
    figures: list[Figure] = []
    for name, measure, unit in _FRAME_MEASURES:
        for which, clips in pairs.items():
            values = [measure(one.frames) for one in clips if _moves(one)]  # type: ignore[arg-type]
            figures.append(_mean(f"{name}, {which}", values, unit, "lower"))
    notes = () if any(map(_moves, samples)) else ("these clips do not move: no flicker, no drift",)
    yield Result("steadiness", "Clips that are made of the captions", tuple(figures), notes)
    yield _loudness_result(pairs, grid.sample_rate)
    yield _sync_result(pairs, float(grid.frame_rate), grid.sample_rate)


_FRAME_MEASURES: tuple[tuple[str, Callable[[Tensor], float], str], ...] = (
    ("flicker", flicker, "of 255"),
    ("warp error", warp_error, "of 255"),
    ("drift of color", color_drift, "of 255"),
)


def _loudness_result(pairs: dict[str, list[Sample]], rate: int) -> Result:
    figures: list[Figure] = []
    for which, clips in pairs.items():
        sounds = [one for one in clips if one.waveform is not None]
        levels = [_loudness(_sound(one), rate) for one in sounds if not _is_silent(one)]
        figures.append(_mean(f"loudness, {which}", levels, "LUFS"))
        silent = 100 * sum(map(_is_silent, sounds)) / len(sounds) if sounds else float("nan")
        figures.append(Figure(f"silent, {which}", silent, "% of clips", count=len(sounds)))
    has_sound = any(one.waveform is not None for one in pairs["true"])
    notes = () if has_sound else ("these clips have no audio: no loudness",)
    return Result("loudness", "Loudness", tuple(figures), notes)


def _sync_result(pairs: dict[str, list[Sample]], frame_rate: float, rate: int) -> Result:
    within = max(WITHIN_SECONDS, 1 / frame_rate)
    figures: list[Figure] = []
    for which, clips in pairs.items():
        both = [one for one in clips if _moves(one) and one.waveform is not None]
        seen = [motion_events(one.frames, frame_rate) for one in both]  # type: ignore[arg-type]
        heard = [audio_onsets(_sound(one), rate) for one in both]
        # a clip without onsets, or in which nothing happens, has nothing to be in sync
        eventful = [(one, other) for one, other in zip(seen, heard, strict=True) if one and other]
        events, onsets = [one for one, _ in eventful], [other for _, other in eventful]
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
    rebuild: Callable[[Any, Sequence[Sample]], Tensor],
) -> dict[str, Tensor]:
    """By the keys of the clips, what comes out of the autoencoders."""
    rebuilt: dict[str, Tensor] = {}
    for part in _parts(samples, run.batch_size):
        made = rebuild(run.pipe, part)
        rebuilt |= {one.key: made[row] for row, one in enumerate(part)}
        run.progress(name, len(rebuilt), len(samples))
    return rebuilt


def _rebuilt_frames(pipe: Any, samples: Sequence[Sample]) -> Tensor:
    return rebuilt_frames(pipe, torch.stack([one.frames for one in samples]))  # type: ignore[misc]


def _rebuilt_waveforms(pipe: Any, samples: Sequence[Sample]) -> Tensor:
    return rebuilt_waveforms(pipe, torch.cat([_sound(one) for one in samples]))


def _backbone(transformer: Any) -> Any:
    """In the precision of its weights; the loss is in fp32."""

    @torch.no_grad()
    def predict(latents: ClipLatents, time: ClipLatents, context: Context) -> ClipLatents:
        dtype = transformer.dtype
        prediction: ClipLatents = transformer(latents.to(dtype), time, context.to(dtype))
        return prediction

    return predict


def _parts(samples: Sequence[Sample], size: int) -> Iterator[list[Sample]]:
    """Those that make a batch: of equal shapes."""
    alike: dict[Any, list[Sample]] = {}
    for one in samples:
        shapes = [None if half is None else half.shape for half in (one.frames, one.waveform)]
        alike.setdefault(tuple(shapes), []).append(one)
    for group in alike.values():
        yield from (group[first : first + size] for first in range(0, len(group), size))


def _settings_of(sample: Sample) -> dict[str, Any]:
    """Of the pipeline, so that it makes a clip like this one."""
    modalities = [
        name
        for name, half in zip(MODALITIES, (sample.frames, sample.waveform), strict=True)
        if half is not None
    ]
    settings: dict[str, Any] = {"modalities": modalities}
    if sample.frames is not None:
        settings |= dict(zip(("num_frames", "height", "width"), sample.frames.shape, strict=False))
    return settings


def _moves(sample: Sample) -> bool:
    return sample.frames is not None and len(sample.frames) >= LEAST_FRAMES


def _sound(sample: Sample) -> Tensor:
    assert sample.waveform is not None
    return sample.waveform


def _is_silent(sample: Sample) -> bool:
    if sample.waveform is None or sample.sample_rate is None:
        return False
    return loudness_of(sample.waveform, sample.sample_rate).is_silence


def _loudness(waveform: Tensor, sample_rate: int) -> float:
    return loudness_of(waveform, sample_rate).value


def _log_mel(grid: LatentGrid) -> LogMel:
    return LogMel(grid.sample_rate, hop_length=grid.hop_length, mel_bins=grid.mel_bins)


def _log_mel_error(before: Tensor, after: Tensor, sample_rate: int) -> float:
    """Mean absolute difference of the log-mels, in dB; of whole hops."""
    mel = LogMel(sample_rate)
    length = before.shape[-1] - before.shape[-1] % mel.hop_length
    difference = mel(before[:, :length]) - mel(after[:, :length])
    decibels = 10 / math.log(10) * (mel.log_ceiling - mel.log_floor)  # of a difference of 1
    return decibels * float(difference.abs().mean())


def _mean(name: str, values: Sequence[float], unit: str, better: Any = "higher") -> Figure:
    mean = sum(values) / len(values) if values else float("nan")
    return Figure(name, mean, unit, better=better, count=len(values))
