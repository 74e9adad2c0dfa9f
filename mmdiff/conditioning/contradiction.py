"""Conditions together: what they give adds up, unless two say different things of one token."""

from collections.abc import Sequence
from itertools import combinations
from math import sqrt

import torch
from torch import Tensor

from mmdiff.conditioning.condition import Condition
from mmdiff.conditioning.encode import Encode
from mmdiff.values.latent_state import LatentState
from mmdiff.values.latents import Modality

TOLERANCE = 0.25
"""Root mean square over the channels of a token, whose latents have unit variance: the same picture
encoded in another clip, or compressed, differs by less; another picture by about 1."""


def composed(conditions: Sequence[Condition], state: LatentState, encode: Encode) -> LatentState:
    """The state in which all that the conditions give is given.

    Raises ValueError where a condition needs a half that is not made, or where two give different
    values to the same token, both exactly or both partially. What is given exactly goes before what
    is given partially.
    """
    bare = LatentState(state.latents)
    parts: list[LatentState] = []
    for condition in conditions:
        _check_halves(condition, state)
        parts.append(condition.apply(bare, encode))
    for one, other in combinations(range(len(parts)), 2):
        for name in bare.latents.modalities:
            if _differ(parts[one], parts[other], name):
                raise ValueError(_contradiction(conditions, (one, other), name))
    for part in parts:
        for name in part.mask.modalities:
            values, mask = part.given.get(name), part.mask.get(name)
            assert values is not None and mask is not None
            state = state.give(name, values, mask)
    return state


def _check_halves(condition: Condition, state: LatentState) -> None:
    made = state.latents.modalities
    missing = [name for name in condition.modalities if name not in made]
    if missing:
        kind = type(condition).__name__
        raise ValueError(
            f"modalities is {made}, and {kind} gives {missing[0]}; "
            f"add {missing[0]!r} to modalities, or leave {kind} out"
        )


def _differ(one: LatentState, other: LatentState, modality: Modality) -> bool:
    first, second = one.given.get(modality), other.given.get(modality)
    firm, also_firm = one.mask.get(modality), other.mask.get(modality)
    if first is None or second is None or firm is None or also_firm is None:
        return False
    both = (firm > 0) & (also_firm > 0) & ((firm >= 1) == (also_firm >= 1))
    distance = _norm(first - second)
    return bool((both & (distance > TOLERANCE)).any())


def _norm(difference: Tensor) -> Tensor:
    return torch.linalg.vector_norm(difference, dim=1, keepdim=True) / sqrt(difference.shape[1])


def _contradiction(
    conditions: Sequence[Condition], pair: tuple[int, int], modality: Modality
) -> str:
    one, other = (type(conditions[index]).__name__ for index in pair)
    half = "picture" if modality == "video" else "sound"
    return (
        f"conditions[{pair[0]}] ({one}) and conditions[{pair[1]}] ({other}) contradict each other: "
        f"they give different {half} to the same tokens; leave one out, or give them other times"
    )
