"""Given samples put into a generated sound, exactly, and without a click at the seams."""

import torch
from torch import Tensor

FADE_SAMPLES = 320
ORDER = 32
HISTORY = 2048


def joined(generated: Tensor, given: Tensor, *, first: int, last: int) -> Tensor:
    """`generated` with samples first..last (last excluded) of `given` in their place.

    Beyond each seam the given sound is carried on by linear prediction and fades out over
    `FADE_SAMPLES` while the generated one fades in, so that neither jumps.

    generated, given  ... samples, in [-1, 1]
    """
    sound = generated.clone()
    first, last = max(first, 0), min(last, generated.shape[-1])
    sound[..., first:last] = given[..., first:last]
    behind = sound[..., last : last + FADE_SAMPLES]
    sound[..., last : last + FADE_SAMPLES] = _faded(given[..., first:last], behind)
    start = max(0, first - FADE_SAMPLES)
    before = sound[..., start:first].flip(-1)
    sound[..., start:first] = _faded(given[..., first:last].flip(-1), before).flip(-1)
    return sound


def _faded(past: Tensor, following: Tensor) -> Tensor:
    """From the continuation of `past` to `following`, which comes after it."""
    count = following.shape[-1]
    if count == 0 or past.shape[-1] == 0:
        return following
    fade = torch.linspace(1, 0, count + 2, device=past.device)[1:-1]
    continued = predicted(past, count).clamp(-1, 1)
    return fade * continued + (1 - fade) * following


def predicted(past: Tensor, count: int) -> Tensor:
    """`count` samples that carry on  ... samples  by linear prediction (Burg's method, which is
    always stable: a tone rings on, noise dies away)."""
    history = past[..., -HISTORY:].double()
    order = min(ORDER, history.shape[-1] // 2)
    if order == 0:
        return past[..., -1:].expand(*past.shape[:-1], count)
    weights = _burg(history, order).flip(-1)
    samples = list(history[..., -order:].unbind(-1))
    for _ in range(count):
        samples.append(-(weights * torch.stack(samples[-order:], dim=-1)).sum(-1))
    return torch.stack(samples[order:], dim=-1).to(past.dtype)


def _burg(x: Tensor, order: int) -> Tensor:
    """Coefficients a_1 .. a_order of x_n = -sum_i a_i x_{n - i}:  ... order."""
    forward, backward = x[..., 1:], x[..., :-1]
    weights = x.new_zeros(*x.shape[:-1], 0)
    for _ in range(order):
        energy = (forward.square() + backward.square()).sum(-1, keepdim=True)
        reflection = -2 * (forward * backward).sum(-1, keepdim=True) / energy.clamp_min(1e-12)
        weights = torch.cat([weights + reflection * weights.flip(-1), reflection], dim=-1)
        forward, backward = forward + reflection * backward, backward + reflection * forward
        forward, backward = forward[..., 1:], backward[..., :-1]
    return weights
