"""GuidedDenoiser: the clean estimate, sharpened by guiders, in one call of the backbone."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mmdiff.guidance.guider import Guider
from mmdiff.values.context import Context
from mmdiff.values.latents import ClipLatents, Modality

# (latents, time, context) -> clean estimate
Denoise = Callable[[ClipLatents, ClipLatents, Context], ClipLatents]


class GuidedDenoiser:
    """x + the terms of all guiders; one per run of the sampler, since guiders may remember calls.

    denoiser: clean estimates for any number of rows.
    negative_context: what text guiders go away from; one per row.
    """

    def __init__(
        self,
        denoiser: Denoise,
        context: Context,
        *,
        negative_context: Context | None = None,
        guiders: Sequence[Guider] = (),
    ) -> None:
        self.denoiser = denoiser
        self.context = context
        self.negative_context = negative_context
        self.guiders = tuple(guiders)
        self._memories: dict[tuple[int, Modality], Tensor | None] = {}

    def __call__(self, latents: ClipLatents, time: ClipLatents) -> ClipLatents:
        """The guided clean estimate.

        time: noise level per token, broadcastable, with one row per row of the latents.
        """
        weights = self._weights(time)
        weaker = {
            index: self.guiders[index].weaken(self.context, self.negative_context)
            for index in weights
        }
        estimates = self._estimates(latents, time, [self.context, *weaker.values()])
        strong = estimates[id(self.context)]
        guided = strong
        for index, weight in weights.items():
            terms = self._terms(index, strong, estimates[id(weaker[index])], weight=weight)
            guided = guided.zip(terms, torch.add)
        return guided

    def _estimates(
        self, latents: ClipLatents, time: ClipLatents, contexts: list[Context]
    ) -> dict[int, ClipLatents]:
        """By the identity of its context, one estimate each, all from one call."""
        distinct = {id(context): context for context in contexts}
        count = len(distinct)
        rows = Context.cat(list(distinct.values()))
        estimates = self.denoiser(latents.repeat(count), time.repeat(count), rows)
        return dict(zip(distinct, estimates.chunk(count), strict=True))

    def _weights(self, time: ClipLatents) -> dict[int, ClipLatents]:
        """By the index of each guider that does anything now: its weight per row and half."""
        levels = time.map(lambda half: half.amax(tuple(range(1, half.ndim)), keepdim=True))
        weights = {}
        for index, guider in enumerate(self.guiders):
            weight = ClipLatents.of(
                {name: guider.weight(name, level) for name, level in _halves(levels)}
            )
            if any(bool(half.any()) for _, half in _halves(weight)):
                weights[index] = weight
        return weights

    def _terms(
        self, index: int, strong: ClipLatents, weak: ClipLatents, *, weight: ClipLatents
    ) -> ClipLatents:
        weaker, weights = dict(_halves(weak)), dict(_halves(weight))
        values = {}
        for name, half in _halves(strong):
            memory = self._memories.get((index, name))
            term = self.guiders[index].term(half, weaker[name], weight=weights[name], memory=memory)
            self._memories[index, name] = term.memory
            values[name] = term.value
        return ClipLatents.of(values)


def _halves(latents: ClipLatents) -> list[tuple[Modality, Tensor]]:
    pairs = [(name, latents.get(name)) for name in latents.modalities]
    return [(name, half) for name, half in pairs if half is not None]
