import multiprocessing
import os

import pytest
import torch

from tests.media.gate_worker import decode_many, fingerprint, fingerprint_then_leave

NUM_WORKERS = 4
LARGEST_GROWTH = 1.05


@pytest.fixture(scope="module")
def some_paths(odd_corpus):
    names = ("plain.mp4", "vp9.webm", "cut_50_plain.mkv", "plain.avi", "sound.mp3", "random.mp4")
    return [odd_corpus[name].path for name in names]


def _growth(paths, count: int) -> float:
    """Memory of all workers at the end, against that after their first quarter."""
    with multiprocessing.get_context("spawn").Pool(NUM_WORKERS) as pool:
        shares = [(paths, count // NUM_WORKERS)] * NUM_WORKERS
        readings = pool.starmap(decode_many, shares, chunksize=1)
    early, late = (sum(column) for column in zip(*readings, strict=True))
    return late / early


def test_v11_memory_stays_constant(some_paths):
    assert _growth(some_paths, 400) <= LARGEST_GROWTH


@pytest.mark.slow
def test_v11_memory_stays_constant_over_two_thousand_decodes(some_paths):
    assert _growth(some_paths, 2000) <= LARGEST_GROWTH


def test_forked_and_spawned_workers_decode_the_same_bytes(some_paths, tmp_path):
    ours = [fingerprint(path) for path in some_paths]
    assert ours == [fingerprint(path) for path in some_paths]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(fingerprint, some_paths) == ours
    torch.rand(512, 512) @ torch.rand(512, 512)  # threads that a fork does not take along
    answer = tmp_path / "answer"
    child = multiprocessing.get_context("fork").Process(
        target=fingerprint_then_leave, args=(os.fspath(some_paths[0]), os.fspath(answer))
    )
    child.start()
    child.join(timeout=60)
    assert child.exitcode == 0
    assert answer.read_text() == ours[0]
