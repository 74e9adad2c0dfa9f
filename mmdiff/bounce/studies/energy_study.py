"""Energies: what each one measures of the finished clip, without it and with it."""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from mmdiff.bounce.adherence import WANTED, adherence
from mmdiff.bounce.judge import judge
from mmdiff.bounce.studies.study import Stage, Study, mean
from mmdiff.bounce.studies.truth import SILENT, Truth
from mmdiff.bounce.studies.variant import BASELINE, Variant, guiders_of
from mmdiff.evaluation.plot import save_bars
from mmdiff.evaluation.result import Figure, Result
from mmdiff.guidance.energy import Energy, EnergyInput
from mmdiff.pipelines.energy_decode import EnergyDecode
from mmdiff.pipelines.output import clips_of
from mmdiff.values.latents import ClipLatents


@dataclass(frozen=True)
class Sampled:
    """Clean latents of a batch, and the seconds they took."""

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
        base = list(batches(stage, truths, Variant()))
        right = attributes(stage, truths, base)
        for name, energy in self.energies.items():
            led = list(batches(stage, truths, Variant(guiders=[energy])))
            read = [
                index
                for index, truth in enumerate(truths)
                if name not in self.sounding or truth.event.sound != SILENT
            ]
            of_each = [measured(stage, energy, truths, made) for made in (base, led)]
            before, after = (mean([found[index] for index in read]) for found in of_each)
            down[name] = 100 * (before - after) / abs(before) if before else float("nan")
            count, seconds = len(truths), [sum(one.seconds for one in made) for made in (base, led)]
            figures = (
                Figure("its own measure, without", before, count=len(read)),
                Figure("its own measure, with", after, better="lower", count=len(read)),
                Figure("down by", down[name], "%", self.wanted_down, count=len(read)),
                Figure("adherence, without", right, "%", count=count),
                Figure("adherence, with", attributes(stage, truths, led), "%", count=count),
                Figure(f"time over {BASELINE}", seconds[1] / seconds[0], "", better="lower"),
            )
            yield Result(f"energy_{name}", f"Energy: {name}", figures)
        save_bars(
            {"own measure, % down": down},
            stage.run.folder / "energies.png",
            title=f"Energies, {len(truths)} clips",
        )


def batches(stage: Stage, truths: Sequence[Truth], variant: Variant) -> Iterator[Sampled]:
    """Clean latents of all truths' prompts, batch by batch."""
    run = stage.run
    for first in range(0, len(truths), run.batch_size):
        batch = truths[first : first + run.batch_size]
        seeds = range(run.seed + first, run.seed + first + len(batch))
        began = time.perf_counter()
        made = run.pipe(
            prompt=[truth.prompt for truth in batch],
            generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
            **{**run.arguments, "guidance": guiders_of(variant), "output_type": "latent"},
        )
        latents = ClipLatents(made.frames, made.audio)  # type: ignore[union-attr]
        yield Sampled(latents, time.perf_counter() - began)


@torch.no_grad()
def measured(
    stage: Stage, energy: Energy, truths: Sequence[Truth], made: Sequence[Sampled]
) -> list[float]:
    """The energy of each finished clip."""
    pipe = stage.run.pipe
    decode = EnergyDecode(pipe.vae, pipe.audio_vae, pipe.vocoder, pipe.latent_grid)
    prompts = iter([truth.prompt for truth in truths])
    found: list[float] = []
    for batch in made:
        rows = [next(prompts) for _ in range(batch.latents.batch_size)]
        settled = batch.latents.map(lambda half: torch.zeros_like(half[:, :1]))
        found += energy.energy(batch.latents, EnergyInput(settled, decode, rows)).tolist()
    return found


@torch.no_grad()
def attributes(stage: Stage, truths: Sequence[Truth], made: Sequence[Sampled]) -> float:
    """Percent right, in the mean over the attributes."""
    pipe, readings = stage.run.pipe, []
    for batch in made:
        media = pipe.decode_latents(batch.latents, stage.shape.num_frames)
        readings += [judge(clip) for clip in clips_of(media, pipe.latent_grid)]
    read = adherence([truth.event for truth in truths], readings, wanted={})
    return sum(read.value(name) for name in WANTED) / len(WANTED)
