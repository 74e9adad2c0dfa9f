"""Energies: what each one measures of the finished clip, without it and with it."""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from mmdiff.bounce.adherence import attribute_figures
from mmdiff.bounce.studies.study import Stage, Study, read
from mmdiff.bounce.studies.truth import Made, Truth
from mmdiff.bounce.studies.variants import BASELINE, Variant
from mmdiff.evaluation.plot import save_bars
from mmdiff.evaluation.result import Figure, Result, mean
from mmdiff.guidance.energy import Energy, EnergyInput
from mmdiff.pipelines.codec import EnergyDecode
from mmdiff.pipelines.output import clips_of
from mmdiff.values.latents import ClipLatents


@dataclass(frozen=True)
class Sampled:
    """Clean latents of a batch, and the seconds they took."""

    truths: Sequence[Truth]
    latents: ClipLatents
    seconds: float


@dataclass(frozen=True, kw_only=True)
class EnergyStudy(Study):
    """Equal prompts and seeds; an energy is lower where the clips are better.

    energies: by name; each at the scale that it has.
    sounding: names of those that are read from the prompts with a ping: a silent clip has nothing
        that sync could bring together, and measures 1 whatever is done.
    wanted_down: percent of its own measure that each has to take away.
    """

    energies: Mapping[str, Energy]
    sounding: Collection[str] = ()
    num_clips: int = 64
    wanted_down: float = 20.0

    def results(self, stage: Stage) -> Iterator[Result]:
        truths = stage.truths(at_most=self.num_clips)
        down: dict[str, float] = {}
        base = sampled(stage, truths, Variant())
        right = adherence_of(stage, base)
        for name, energy in self.energies.items():
            led = sampled(stage, truths, Variant(guiders=[energy]))
            is_read = [truth.is_sounding or name not in self.sounding for truth in truths]
            before, after = (
                mean([value for value, read in zip(values, is_read, strict=True) if read])
                for values in (energies_of(stage, energy, made) for made in (base, led))
            )
            down[name] = 100 * (before - after) / abs(before) if before else float("nan")
            count, ratio = sum(is_read), seconds_of(led) / seconds_of(base)
            figures = (
                Figure("its own measure, without", before, count=count),
                Figure("its own measure, with", after, better="lower", count=count),
                Figure("down by", down[name], "%", self.wanted_down, count=count),
                Figure("adherence, without", right, "%", count=len(truths)),
                Figure("adherence, with", adherence_of(stage, led), "%", count=len(truths)),
                Figure(f"time over {BASELINE}", ratio, "", better="lower"),
            )
            yield Result(f"energy_{name}", f"Energy: {name}", figures)
        path, title = stage.run.folder / "energies.png", f"Energies, {len(truths)} clips"
        save_bars({"own measure, % down": down}, path, title=title)


def sampled(stage: Stage, truths: Sequence[Truth], variant: Variant) -> list[Sampled]:
    """Clean latents of all truths' prompts, batch by batch."""
    run, found = stage.run, list[Sampled]()
    for first, batch in run.batches("energies", truths):
        generators = [torch.Generator().manual_seed(s) for s in run.seeds(first, len(batch))]
        arguments = {**run.arguments, "guidance": variant.all_guiders(), "output_type": "latent"}
        prompts = [truth.prompt for truth in batch]
        began = time.perf_counter()
        out = run.pipe(prompt=prompts, generator=generators, **arguments)
        seconds = time.perf_counter() - began
        found.append(Sampled(batch, ClipLatents(out.frames, out.audio), seconds))
    return found


def seconds_of(made: Sequence[Sampled]) -> float:
    return sum(batch.seconds for batch in made)


@torch.no_grad()
def energies_of(stage: Stage, energy: Energy, made: Sequence[Sampled]) -> list[float]:
    """The energy of each finished clip."""
    pipe = stage.run.pipe
    decode = EnergyDecode(pipe.vae, pipe.audio_vae, pipe.vocoder, pipe.latent_grid)
    found: list[float] = []
    for batch in made:
        finished = batch.latents.map(lambda latents: torch.zeros_like(latents[:, :1]))  # time 0
        prompts = [truth.prompt for truth in batch.truths]
        found += energy.energy(batch.latents, EnergyInput(finished, decode, prompts)).tolist()
    return found


@torch.no_grad()
def adherence_of(stage: Stage, made: Sequence[Sampled]) -> float:
    """Percent right, in the mean over the attributes."""
    pipe, found = stage.run.pipe, list[Made]()
    for batch in made:
        media = pipe.decode_latents(batch.latents, stage.shape.num_frames)
        found += read(batch.truths, clips_of(media, pipe.latent_grid))
    return mean([figure.value for figure in attribute_figures([one.pair for one in found])])
