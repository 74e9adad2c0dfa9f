"""Chance with an address: every draw is a function of (seed, purpose, step, sample), and of nothing
else, so that it is the same in any batch, on any rank, before and after a restart."""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class NoiseKey:
    """The address of a batch of draws.

    seed: of the whole run.
    step: optimizer step, or whatever counts the draws for one sample.
    sample_ids: one per row of the batch; a number and a text are different ids.
    """

    seed: int
    step: int
    sample_ids: tuple[int | str, ...]


def hash64(*parts: int | str) -> int:
    """64 bits of the parts, the same in every process and on every machine."""
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def _row_generators(key: NoiseKey, purpose: str) -> list[np.random.Generator]:
    # Philox takes all 64 bits; the CPU generator of torch would keep only the lower 32 of a seed
    # and so repeat itself within some ten thousand draws.
    return [
        np.random.Generator(np.random.Philox(key=hash64(key.seed, purpose, key.step, sample_id)))
        for sample_id in key.sample_ids
    ]


def keyed_noise(key: NoiseKey, purpose: str, shape: tuple[int, ...]) -> Tensor:
    """Standard normal noise on the CPU in fp32.

    purpose: what it is for; other purposes draw other numbers.
    shape: of one row; the result is (number of sample ids, *shape).
    """
    rows = [
        torch.from_numpy(generator.standard_normal(shape, dtype=np.float32))
        for generator in _row_generators(key, purpose)
    ]
    return torch.stack(rows)


def keyed_uniform(key: NoiseKey, purpose: str, shape: tuple[int, ...] = ()) -> Tensor:
    """Uniform numbers in [0, 1) on the CPU in fp32, one per row by default; see `keyed_noise`."""
    rows = [
        torch.from_numpy(np.asarray(generator.random(shape, dtype=np.float32)))
        for generator in _row_generators(key, purpose)
    ]
    return torch.stack(rows)
