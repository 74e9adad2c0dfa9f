"""V5: a worker that is killed, hangs or fails ends in an error that names its file."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mmdiff.autoencoders.audio_autoencoder import AudioAutoencoder
from mmdiff.autoencoders.mel import LogMel
from mmdiff.autoencoders.video_autoencoder import VideoAutoencoder
from mmdiff.data.encode import encode
from mmdiff.data.latent_clips import LatentClips
from mmdiff.data.loader import ReportingLoader
from mmdiff.data.worker_status import ReadingFailed
from mmdiff.values.sample import Sample, SampleFacts

Fault = Callable[[], None]


class Clips:
    """Six clips of 5 frames of 16 x 16; reading number 3 makes a worker do `fault`."""

    def __init__(self, fault: Fault | None = None) -> None:
        self.fault, self.parent = fault, os.getpid()

    def __len__(self) -> int:
        return 6

    def facts(self, index: int) -> SampleFacts:
        return SampleFacts(f"clips/{index}.mp4", f"clip {index}", f"identity {index}")

    def __getitem__(self, index: int) -> Sample:
        if index == 3 and self.fault is not None and os.getpid() != self.parent:
            self.fault()
        frames = torch.full((5, 16, 16, 3), 40 * index, dtype=torch.uint8)
        return Sample(frames, None, f"clip {index}", f"clips/{index}.mp4")


def _killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _hung() -> None:
    time.sleep(600)


def _unpicklable() -> None:
    class Local(Exception):  # noqa: N818
        def __reduce__(self) -> str:
            raise TypeError("cannot be pickled")

    raise Local("out of the depths of a codec")


FAULTS: dict[str, tuple[Fault, str]] = {
    "killed": (_killed, "DataLoader worker (pid"),
    "hung": (_hung, "timed out after 3 seconds"),
    "unpicklable": (_unpicklable, "Local: out of the depths of a codec"),
}


class Numbered(Clips):
    def name_of(self, number: int) -> str:
        return f"clips/{number}.mp4"

    def collate(self, items: list[Any]) -> list[Any]:
        return items


@pytest.mark.parametrize("num_workers", [0, 2])
def test_clips_come_in_order(num_workers: int) -> None:
    loader = ReportingLoader(Numbered(), [[1, 3], [5]], num_workers=num_workers)
    keys = [[sample.key for sample in batch] for batch in loader]
    assert keys == [["clips/1.mp4", "clips/3.mp4"], ["clips/5.mp4"]]


@pytest.mark.parametrize("name", FAULTS)
def test_v5_a_lost_worker_is_reported_with_its_file(name: str) -> None:
    fault, said = FAULTS[name]
    began = time.monotonic()
    with pytest.raises(ReadingFailed) as failed:
        list(ReportingLoader(Numbered(fault), [[1], [3], [5]], num_workers=2, timeout_seconds=3))
    assert time.monotonic() - began < 60
    assert failed.value.index == 3
    for word in (said, "worker", "clips/3.mp4"):
        assert word in str(failed.value)
    assert len(str(failed.value).splitlines()) == 1


def test_v5_encode_fails_by_name_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    torch.manual_seed(0)
    VideoAutoencoder(4, (8, 8, 8), 1, (8, 8, 8), 1).save_pretrained(tmp_path / "vae")
    audio = AudioAutoencoder(64, 2, fine_width=8, coarse_width=8, num_blocks=1)
    audio.save_pretrained(tmp_path / "audio_vae")
    parts = {name: str(tmp_path / name) for name in ("vae", "audio_vae")}
    folder, settings = str(tmp_path / "cache"), {"batch_size": 1, "shard_size": 1}
    with pytest.raises(ReadingFailed, match=r"clips/3\.mp4"):
        encode(Clips(_killed), folder, mel=LogMel(), num_workers=1, **parts, **settings)
    encode(Clips(), folder, mel=LogMel(), **parts, **settings)
    keys = [entry.key for entry in LatentClips(folder).entries]
    assert keys == [f"clips/{index}.mp4" for index in range(6)]


def test_v5_a_worker_may_not_be_silent_forever() -> None:
    with pytest.raises(ValueError, match="timeout_seconds is 0"):
        ReportingLoader(Numbered(), [[1]], num_workers=1, timeout_seconds=0)
