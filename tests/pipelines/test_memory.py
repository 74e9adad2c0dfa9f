"""The memory estimate: it grows with everything that costs memory, and its advice fits."""

from dataclasses import replace

import pytest
import torch

from mmdiff.pipelines import memory
from mmdiff.pipelines.memory import CallSize, check_memory, free_bytes
from mmdiff.values.shapes import LatentGrid

GRID = LatentGrid()
SMALL = CallSize(
    num_frames=33, height=64, width=64, batch_size=1, passes=2, patch=2, token_width=256
)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_frames", 3301),
        ("height", 6400),
        ("width", 6400),
        ("batch_size", 1000),
        ("token_width", 25_600),
    ],
)
def test_more_of_anything_needs_more(name: str, value: int) -> None:
    assert replace(SMALL, **{name: value}).bytes_needed(GRID) > SMALL.bytes_needed(GRID)


def test_a_default_clip_needs_little() -> None:
    assert SMALL.bytes_needed(GRID) < 100e6


@pytest.mark.parametrize("free", [5e8, 2e9])
def test_its_advice_fits(monkeypatch: pytest.MonkeyPatch, free: float) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda device: int(free))
    size = replace(SMALL, num_frames=330_001)
    with pytest.raises(ValueError, match=r"num_frames=330001, height=64") as caught:
        check_memory(size, GRID, torch.device("cpu"))
    advice = int(str(caught.value).rsplit("num_frames=", 1)[1].split()[0])
    check_memory(replace(size, num_frames=advice), GRID, torch.device("cpu"))


def test_free_memory_is_known_or_none() -> None:
    free = free_bytes(torch.device("cpu"))
    assert free is None or free > 0
    assert free_bytes(torch.device("meta")) is None
