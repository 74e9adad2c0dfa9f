"""Energies: what each one measures of the finished clip, without it and with it."""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from mmdiff.bounce.adherence import attribute_figures
from mmdiff.bounce.studies.guided import BASELINE, Variant
from mmdiff.bounce.studies.study import Stage, Study, read
from mmdiff.bounce.studies.truth import Made, Truth
from mmdiff.evaluation.plot import save_bars
from mmdiff.evaluation.result import Figure, Result, mean
from mmdiff.guidance.energy import Energy, EnergyInput
from mmdiff.pipelines.codec import EnergyDecode
from mmdiff.pipelines.output import clips_of
from mmdiff.values.latents import ClipLatents


@dataclass(frozen=True)
class Measured:
    """Of the clips of one variant: each energy clip by clip, percent of the attributes right, and
    the seconds that all took to sample."""

    energies: Mapping[str, list[float]]
    adherence: float
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
        base = measured(stage, truths, Variant(), self.energies)
        for name, energy in self.energies.items():
            led = measured(stage, truths, Variant(guiders=[energy]), {name: energy})
            is_read = [not (truth.event.is_silent and name in self.sounding) for truth in truths]
            before, after = (
                mean([value for value, is_one in zip(values, is_read, strict=True) if is_one])
                for values in (base.energies[name], led.energies[name])
            )
            down[name] = 100 * (before - after) / abs(before) if before else float("nan")
            num_read, ratio = sum(is_read), led.seconds / base.seconds
            figures = (
                Figure("its own measure, without", before, count=num_read),
                Figure("its own measure, with", after, better="lower", count=num_read),
                Figure("down by", down[name], "%", self.wanted_down, count=num_read),
                Figure("adherence, without", base.adherence, "%", count=len(truths)),
                Figure("adherence, with", led.adherence, "%", count=len(truths)),
                Figure(f"time over {BASELINE}", ratio, "", better="lower"),
            )
            yield Result(f"energy_{name}", f"Energy: {name}", figures)
        path, title = stage.run.folder / "energies.png", f"Energies, {len(truths)} clips"
        save_bars({"own measure, % down": down}, path, title=title)


def measured(
    stage: Stage, truths: Sequence[Truth], variant: Variant, energies: Mapping[str, Energy]
) -> Measured:
    """Sample the prompts with what the variant adds, and measure the clean latents."""
    run, pipe, seconds = stage.run, stage.run.pipe, 0.0
    arguments = {**run.arguments, "guidance": variant.all_guiders(), "output_type": "latent"}
    decode = EnergyDecode(pipe.vae, pipe.audio_vae, pipe.vocoder, pipe.latent_grid)
    values: dict[str, list[float]] = {name: [] for name in energies}
    made: list[Made] = []
    for first, batch in run.batches("energies", truths):
        generators = [torch.Generator().manual_seed(s) for s in run.seeds(first, len(batch))]
        prompts = [truth.prompt for truth in batch]
        began = time.perf_counter()
        out = pipe(prompt=prompts, generator=generators, **arguments)
        seconds += time.perf_counter() - began
        latents = ClipLatents(out.frames, out.audio)
        finished = latents.map(lambda one: torch.zeros_like(one[:, :1]))  # time 0
        with torch.no_grad():
            for name, energy in energies.items():
                found = energy.energy(latents, EnergyInput(finished, decode, prompts))
                values[name] += found.tolist()
            media = pipe.decode_latents(latents, stage.shape.num_frames)
        made += read(batch, clips_of(media, pipe.latent_grid))
    right = [figure.value for figure in attribute_figures([one.pair for one in made])]
    return Measured(values, mean(right), seconds)
