"""GuidedDenoiser: the clean estimate, sharpened by guiders and led by energies."""

from collections.abc import Collection, Sequence
from dataclasses import KW_ONLY, dataclass, field

import torch

from mmdiff.backbone.ablation import Ablation
from mmdiff.diffusion.noise_schedule import Flow, NoiseSchedule
from mmdiff.guidance.energy import Decode, Energy, EnergyInput
from mmdiff.guidance.guider import Denoise, Guider, Prediction, StepContext
from mmdiff.values.context import Context
from mmdiff.values.latents import ClipLatents, Modality


@dataclass(eq=False)
class GuidedDenoiser:
    """Guidance is a difference to a perturbed prediction, or the slope of an energy: per modality

        x = x_cond + sum_i w_i(t) (x_cond - x_perturbed_i) - sum_j v_j(t) grad E_j(x_cond)

    on the clean estimate, which is linear in whatever the backbone predicts. With the prediction of
    the empty text as the only x_perturbed, and w = s - 1, this is classifier-free guidance (arXiv
    2207.12598). All predictions of one denoiser are made in one batched call. One object per run of
    the sampler, since guiders may remember calls.

    denoiser: clean estimates for any number of rows.
    negative_context: what text guiders go away from; one per row.
    guiders: in any number and order; those at scale 0 cost nothing and change nothing.
    noise_schedule: of the latents, for guiders that ask for velocities.
    decode, prompts: handed to energies; prompts one per row.
    """

    denoiser: Denoise
    context: Context
    _: KW_ONLY
    negative_context: Context | None = None
    guiders: Sequence[Guider | Energy] = ()
    noise_schedule: NoiseSchedule = field(default_factory=Flow)
    decode: Decode | None = None
    prompts: Sequence[str] | None = None
    _calls: int = field(default=0, init=False)
    # by the index of the guider: a callback may set an equal one in the middle of a run
    _memories: dict[tuple[int, Modality], dict[str, torch.Tensor]] = field(
        default_factory=dict, init=False
    )

    def __call__(self, latents: ClipLatents, time: ClipLatents) -> ClipLatents:
        """The guided clean estimate.

        time: t per token, broadcastable, with one row per row of the latents.
        """
        conditional = Prediction(self.denoiser, self.context)
        latest = time.map(lambda times: times.amax(tuple(range(1, times.ndim)), keepdim=True))
        guiders = {
            index: guider
            for index, guider in enumerate(self.guiders)
            if isinstance(guider, Guider) and guider.applies_to(latents)
        }
        weights = {
            index: {name: guider.weight(name, level) for name, level in latest.items()}
            for index, guider in guiders.items()
        }
        perturbed = {
            index: guiders[index].perturbed(conditional, self.negative_context)
            for index, weight in weights.items()
            if any(bool(one.any()) for one in weight.values())
        }
        clean, *others = _estimates([conditional, *perturbed.values()], latents, time)
        noisy, times, guided = dict(latents.items()), dict(time.items()), clean
        for index, other in zip(perturbed, others, strict=True):
            away, terms = dict(other.items()), {}
            for name, estimate in clean.items():
                memory = self._memories.setdefault((index, name), {})
                step = StepContext(
                    noisy[name], times[name], self._calls, self.noise_schedule, memory
                )
                terms[name] = guiders[index].term(
                    estimate, away[name], weight=weights[index][name], step=step
                )
            guided = guided.zip(ClipLatents.of(terms), torch.add)
        for energy in self.guiders:
            if isinstance(energy, Energy) and energy.applies_to(latents):
                inputs = EnergyInput(time=time, decode=self.decode, prompts=self.prompts)
                guided = guided.zip(energy.slope(clean, inputs), torch.sub)
        self._calls += 1
        return guided


def _estimates(
    predictions: Sequence[Prediction], latents: ClipLatents, time: ClipLatents
) -> list[ClipLatents]:
    """Their clean estimates: all of one denoiser from one call, equal predictions from one pass."""
    keys = [
        (id(one.denoiser), id(one.context), one.without_time, one.without_view, one.without_blocks)
        for one in predictions
    ]
    distinct = dict(zip(keys, predictions, strict=True))
    estimates: dict[tuple[object, ...], ClipLatents] = {}
    for denoiser in {id(one.denoiser): one.denoiser for one in predictions}.values():
        own = {key: one for key, one in distinct.items() if one.denoiser is denoiser}
        has_cuts = any(any(key[2:]) for key in own)
        clean = denoiser(
            latents.repeat(len(own)),
            time.repeat(len(own)),
            Context.cat([one.context for one in own.values()]),
            ablation=_ablation(own.values(), rows=latents.batch_size) if has_cuts else None,
        )
        estimates |= zip(own, clean.chunk(len(own)), strict=True)
    return [estimates[key] for key in keys]


def _ablation(predictions: Collection[Prediction], *, rows: int) -> Ablation:
    """What to cut in a batch of `rows` for each of the predictions."""
    cuts = {
        "without_time": [one.without_time for one in predictions],
        "without_view": [one.without_view for one in predictions],
        "without_blocks": [bool(one.without_blocks) for one in predictions],
    }
    masks = {
        name: torch.tensor(cut).repeat_interleave(rows) for name, cut in cuts.items() if any(cut)
    }
    blocks = {one.without_blocks for one in predictions if one.without_blocks}
    assert len(blocks) <= 1, f"one batched call cuts one set of blocks, not {sorted(blocks)}"
    return Ablation(**masks, blocks=next(iter(blocks), ()))
