"""GuidedDenoiser: the clean estimate, sharpened by guiders and led by energies."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mmdiff.backbone.ablation import Ablation
from mmdiff.diffusion.noise_schedule import Flow, NoiseSchedule
from mmdiff.guidance.energy import Energy
from mmdiff.guidance.energy_input import Decode, EnergyInput
from mmdiff.guidance.guider import Guider
from mmdiff.guidance.moment import Moment
from mmdiff.guidance.weaker import Denoise, Weaker
from mmdiff.values.context import Context
from mmdiff.values.latents import ClipLatents, Modality

Estimates = dict[tuple[object, ...], ClipLatents]


class GuidedDenoiser:
    """x = x_c + sum_i w_i (x_c - x_weak_i) - sum_j v_j grad E_j(x_c), per half of the clip; one per
    run of the sampler, since guiders may remember calls.

    denoiser: clean estimates for any number of rows.
    negative_context: what text guiders go away from; one per row.
    guiders: in any number and order; those at scale 0 cost nothing and change nothing.
    noise_schedule: of the latents, for guiders that ask for velocities.
    decode, prompts: handed to energies; prompts one per row.
    """

    def __init__(
        self,
        denoiser: Denoise,
        context: Context,
        *,
        negative_context: Context | None = None,
        guiders: Sequence[Guider | Energy] = (),
        noise_schedule: NoiseSchedule | None = None,
        decode: Decode | None = None,
        prompts: Sequence[str] | None = None,
    ) -> None:
        self.denoiser = denoiser
        self.context = context
        self.negative_context = negative_context
        self.guiders = tuple(guiders)
        self.noise_schedule = noise_schedule or Flow()
        self.decode = decode
        self.prompts = prompts
        self._calls = 0
        self._memories: dict[tuple[int, Modality], Tensor | None] = {}

    def __call__(self, latents: ClipLatents, time: ClipLatents) -> ClipLatents:
        """The guided clean estimate.

        time: noise level per token, broadcastable, with one row per row of the latents.
        """
        guiders, energies = self._concerned(latents)
        weights = _weights(guiders, time)
        strong = Weaker(self.context, self.denoiser)
        weaker = {index: guiders[index].weaken(strong, self.negative_context) for index in weights}
        estimates = _estimates([strong, *weaker.values()], latents, time)
        clean = guided = estimates[strong.key]
        for index, weight in weights.items():
            moments = self._moments(index, latents, time)
            terms = {}
            for name, half in clean.halves:
                weak, factor = estimates[weaker[index].key].get(name), weight.get(name)
                assert weak is not None and factor is not None
                term = guiders[index].term(half, weak, weight=factor, moment=moments[name])
                self._memories[index, name] = term.memory
                terms[name] = term.value
            guided = guided.zip(ClipLatents.of(terms), torch.add)
        for energy in energies:
            known = EnergyInput(time=time, decode=self.decode, prompts=self.prompts)
            guided = guided.zip(energy.slope(clean, known), torch.sub)
        self._calls += 1
        return guided

    def _concerned(self, latents: ClipLatents) -> tuple[dict[int, Guider], list[Energy]]:
        """What has something to say of such clips: guiders by their place, which keeps their
        memories apart, and energies."""
        guiders, energies = {}, []
        for index, guider in enumerate(self.guiders):
            if not guider.concerns(latents):
                continue
            energy = guider.as_energy if isinstance(guider, Guider) else guider
            if energy is not None:
                energies.append(energy)
            elif isinstance(guider, Guider):
                guiders[index] = guider
        return guiders, energies

    def _moments(
        self, index: int, latents: ClipLatents, time: ClipLatents
    ) -> dict[Modality, Moment]:
        levels = dict(time.halves)
        return {
            name: Moment.of(
                half,
                levels[name],
                noise_schedule=self.noise_schedule,
                call=self._calls,
                memory=self._memories.get((index, name)),
            )
            for name, half in latents.halves
        }


def _weights(guiders: dict[int, Guider], time: ClipLatents) -> dict[int, ClipLatents]:
    """By the index of each guider that does anything now: its weight per row and half."""
    levels = time.map(lambda half: half.amax(tuple(range(1, half.ndim)), keepdim=True))
    weights = {}
    for index, guider in guiders.items():
        weight = ClipLatents.of({name: guider.weight(name, level) for name, level in levels.halves})
        if any(bool(half.any()) for _, half in weight.halves):
            weights[index] = weight
    return weights


def _estimates(predictions: Sequence[Weaker], latents: ClipLatents, time: ClipLatents) -> Estimates:
    """By their key, one clean estimate each: all of one denoiser from one call."""
    distinct = {prediction.key: prediction for prediction in predictions}
    estimates: Estimates = {}
    for denoiser in {id(one.denoiser): one.denoiser for one in predictions}.values():
        own = {key: one for key, one in distinct.items() if one.denoiser is denoiser}
        clean = denoiser(
            latents.repeat(len(own)),
            time.repeat(len(own)),
            Context.cat([one.context for one in own.values()]),
            ablation=Ablation.cat([one.ablation for one in own.values()], latents.batch_size),
        )
        estimates |= dict(zip(own, clean.chunk(len(own)), strict=True))
    return estimates
