"""Which generator each clip draws from."""

import torch

from mmdiff.pipelines.checks import Generators


def one_generator_each(generator: Generators, batch_size: int) -> list[torch.Generator]:
    """A generator for each clip.

    Without any, they are seeded from torch's global one, as diffusers' users expect.
    """
    if isinstance(generator, torch.Generator):
        return [generator] * batch_size
    if generator is not None:
        return list(generator)
    seeds = torch.randint(2**62, (batch_size,)).tolist()
    return [torch.Generator().manual_seed(seed) for seed in seeds]
