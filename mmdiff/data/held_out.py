"""Which clips of a data set are held out of training: by their names, so always the same ones."""

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice

from torch.utils.data import Sampler

from mmdiff.data.order import keyed_seed

_SPAN = re.compile(r"#[^#/]*-[^#/]*$")


def held_out(
    keys: Iterable[str], *, fraction: float | None = None, clips: int | None = None
) -> list[int]:
    """The indices of the keys that are held out, in their order; none without a number.

    fraction: each file is drawn by its name alone: new ones move no other.
    clips: about so many, of the files that come first by that draw; with all spans of each, which
        would tell training of one another.

    Raises ValueError for both numbers, for one out of its range, and where nothing is left to train
    on, or to hold out.
    """
    if fraction is None and clips is None:
        return []
    if fraction is not None and clips is not None:
        raise ValueError("val_fraction and val_clips are two ways to say one thing; give one")
    if fraction is not None and not 0 < fraction < 1:
        raise ValueError(f"val_fraction is {fraction}; it must be above 0 and below 1: 0.05")
    if clips is not None and clips < 1:
        raise ValueError(f"val_clips is {clips}; it must be at least 1")
    places = [_place(key) for key in keys]
    if clips is None:
        limit = float(fraction or 0)
    elif clips < len(places):
        limit = math.nextafter(sorted(places)[clips - 1], 1)
    else:
        limit = 1.0
    indices = [index for index, place in enumerate(places) if place < limit]
    if not 0 < len(indices) < len(places):
        name, number = ("val_fraction", fraction) if clips is None else ("val_clips", clips)
        raise ValueError(
            f"{name}={number} holds {len(indices)} of {len(places)} clips out of training; some "
            "must stay on both sides"
        )
    return indices


def rest_of(num: int, indices: Collection[int]) -> list[int]:
    """0 to num - 1 without `indices`."""
    taken = set(indices)
    return [index for index in range(num) if index not in taken]


def _place(key: str) -> float:
    """In [0, 1); the same for all spans of a file."""
    return keyed_seed("held out", _SPAN.sub("", key)) / 2**63


class HeldOutOrder(Sampler[list[int]]):
    """Every clip of `buckets` once, in batches of clips of one bucket, in their order.

    A global batch of `batch_size` is cut into parts of the ranks; a rank that is left without one
    gets the first clip of it once more, so that all ranks have the same number of batches.
    """

    def __init__(
        self,
        buckets: Mapping[str, Sequence[int]],
        batch_size: int,
        *,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.batches: list[list[int]] = []
        for indices in buckets.values():
            rest = iter(indices)
            while batch := list(islice(rest, batch_size)):
                part = -(-len(batch) // world_size)
                self.batches.append(batch[rank * part : (rank + 1) * part] or batch[:1])

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)
