"""V10: too few clips are an error before anything is decoded or trained."""

from pathlib import Path

import pytest

from mmdiff.data.order import EndlessOrder
from mmdiff.data.sources.clip_entry import ClipEntry, Listing
from mmdiff.data.sources.clip_folder import ClipFolder
from mmdiff.data.sources.list_fault import list_fault
from mmdiff.data.sources.weighted_sources import WeightedSources
from mmdiff.media.rejection import Reason


def _listing(count: int, rejected: int = 0) -> Listing:
    entries = tuple(ClipEntry(f"{i}.mp4", "a", Path(f"{i}.mp4")) for i in range(count))
    faults = [list_fault(f"x{i}.mp4", Reason.MISSING, "is not there") for i in range(rejected)]
    return Listing(entries, tuple(faults))


@pytest.mark.parametrize("count, needed", [(0, 1), (1, 2), (7, 8)])
def test_v10_too_few_clips_for_ranks_times_batch(count: int, needed: int) -> None:
    with pytest.raises(ValueError, match=f"talks has {count} clips; {needed} are needed"):
        _listing(count).require(needed, name="talks")
    with pytest.raises(ValueError, match=f"{count} samples, fewer than one batch of {needed}"):
        EndlessOrder(count, needed, seed=1, world_size=1)


def test_v10_what_was_left_out_is_told_with_the_cure() -> None:
    with pytest.raises(ValueError, match=r"3 left out: 3 missing \(correct the name"):
        _listing(1, rejected=3).require(4, name="talks")


@pytest.mark.parametrize("count", [1, 4])
def test_v10_enough_is_enough(count: int) -> None:
    _listing(count, rejected=9).require(count, name="talks")


def test_v10_an_empty_folder_and_one_clip(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds 0 media files, 0 \.txt files"):
        ClipFolder(tmp_path).listing()
    (tmp_path / "a.mp4").write_bytes(b"x")
    (tmp_path / "a.txt").write_text("a clip")
    mixture = WeightedSources({"one": ClipFolder(tmp_path)}).mixture()
    batch = next(iter(mixture.order(1, seed=1)))
    assert batch == [0]
    with pytest.raises(ValueError, match="the mixture of one has 1 clips; 4 are needed"):
        mixture.order(4, seed=1, world_size=2)


def test_v10_a_source_of_a_mixture_without_clips_is_named(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text("file_name,text\ngone.mp4,a clip\n")
    with pytest.raises(ValueError, match=r"source 'talks' has 0 clips.*1 missing"):
        WeightedSources({"talks": ClipFolder(tmp_path)}).listing()
