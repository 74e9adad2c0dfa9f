"""Write clips of the bounce world as mp4 files with a metadata.csv: a small data set of files.

    python tools/write_bounce.py FOLDER [--num 200] [--seed 0] [--overwrite]

Clip i is a function of (seed, i). Train on them as on clips of your own:

    mmdiff data-check data=folder data.root=FOLDER
"""

import argparse
import csv
import sys
from pathlib import Path

from mmdiff.media.atomic import atomic_write
from mmdiff.media.clip import Clip
from mmdiff.media.mp4 import encode_mp4
from mmdiff.values.shapes import ClipShape
from mmdiff.world.dataset import BounceDataset


def write_bounce(folder: Path, *, num_clips: int, seed: int = 0, overwrite: bool = False) -> Path:
    """The metadata.csv, written last. Raises FileExistsError for a folder that has one."""
    shape = ClipShape()
    dataset = BounceDataset(num_clips, seed, shape=shape)
    metadata = folder / "metadata.csv"
    if metadata.exists() and not overwrite:
        raise FileExistsError(f"{metadata} exists; give another folder or --overwrite")
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for index in range(num_clips):
        sample = dataset[index]
        clip = Clip(sample.frames, shape.frame_rate, sample.waveform, shape.sample_rate)
        name = f"{index:05d}.mp4"
        (folder / name).write_bytes(encode_mp4(clip))  # metadata.csv says when all are there
        rows.append((name, sample.caption))
    with atomic_write(metadata) as temporary, temporary.open("w", newline="") as file:
        csv.writer(file).writerows([("file_name", "text"), *rows])
    return metadata


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--num", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--overwrite", action="store_true")
    given = parser.parse_args(words)
    try:
        metadata = write_bounce(
            given.folder, num_clips=given.num, seed=given.seed, overwrite=given.overwrite
        )
    except (FileExistsError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{given.num} clips and {metadata}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
