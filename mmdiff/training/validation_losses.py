"""ValidationLosses: the mean loss of each clip that is validated on, over all ranks."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


class ValidationLosses:
    """Losses by name and sample. A sample that two ranks have seen, so that both had as many
    batches, counts once; so the means depend neither on batches nor on ranks."""

    def __init__(self) -> None:
        self._losses: dict[tuple[str, int], float] = {}

    def add(self, losses: Mapping[str, Tensor], sample_ids: Sequence[int]) -> None:
        """losses: b each, or one number for all samples of the batch."""
        for name, loss in losses.items():
            rows = loss.detach().float().expand(len(sample_ids)).tolist()
            keys = [(name, sample) for sample in sample_ids]
            self._losses.update(zip(keys, rows, strict=True))

    def means(self, world_size: int) -> dict[str, float]:
        """By name; to be called on all ranks."""
        seen = [self._losses]
        if world_size > 1:
            seen = [{} for _ in range(world_size)]
            torch.distributed.all_gather_object(seen, self._losses)
        every = {key: loss for one in seen for key, loss in one.items()}
        rows: dict[str, list[float]] = {}
        for (name, _), loss in sorted(every.items()):
            rows.setdefault(name, []).append(loss)
        return {name: sum(losses) / len(losses) for name, losses in rows.items()}
