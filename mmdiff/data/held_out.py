"""Which clips of a data set are held out of training: by their names, so always the same ones."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from torch.utils.data import Sampler

from mmdiff.data.order import keyed_seed
from mmdiff.values.checks import check_sizes

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
    # in [0, 1), the same for all spans of a file
    draws = [keyed_seed("held out", _SPAN.sub("", key)) / 2**63 for key in keys]
    if clips is None:
        if not 0 < (fraction or 0) < 1:
            raise ValueError(f"val_fraction is {fraction}; it must be above 0 and below 1: 0.05")
        limit = float(fraction or 0)
    else:
        check_sizes(val_clips=clips)
        limit = math.nextafter(sorted(draws)[clips - 1], 1) if clips < len(draws) else 1.0
    indices = [index for index, draw in enumerate(draws) if draw < limit]
    if not 0 < len(indices) < len(draws):
        name, number = ("val_fraction", fraction) if clips is None else ("val_clips", clips)
        raise ValueError(
            f"{name}={number} holds {len(indices)} of {len(draws)} clips out of training; some "
            "must stay on both sides"
        )
    return indices


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
            for first in range(0, len(indices), batch_size):
                batch = list(indices[first : first + batch_size])
                part = -(-len(batch) // world_size)  # rounded up: ranks wait for each other
                self.batches.append(batch[rank * part : (rank + 1) * part] or batch[:1])

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)
