"""Write clips of the bounce world as mp4 files with a metadata.csv: a small data set of files.

    python tools/write_bounce.py FOLDER [--num 200] [--odd 0] [--seed 0] [--overwrite]

Clip i is a function of (seed, i). Train on them as on clips of your own:

    mmdiff data-check data=folder data.root=FOLDER

The last `--odd` of them are as found in the wild: of other sizes, rates and lengths, without a
half, cut off, or no media at all.
"""

import argparse
import csv
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from mmdiff.bounce.dataset import BounceDataset
from mmdiff.media.atomic import atomic_write
from mmdiff.media.clip import Clip
from mmdiff.media.writer import encode_clip
from mmdiff.values.shapes import ClipShape

SHAPES = (  # of odd clips, in turns
    ClipShape(75, 96, 128, Fraction(30)),
    ClipShape(50, 64, 96, Fraction(25)),
    ClipShape(60, 128, 64, Fraction(24)),
    ClipShape(8),  # too short
    ClipShape(40, 32, 32, Fraction(16)),  # too small
)


def write_bounce(
    folder: Path, *, num_clips: int, num_odd: int = 0, seed: int = 0, overwrite: bool = False
) -> Path:
    """The metadata.csv, written last. Raises FileExistsError for a folder that has one."""
    metadata = folder / "metadata.csv"
    if metadata.exists() and not overwrite:
        raise FileExistsError(f"{metadata} exists; give another folder or --overwrite")
    folder.mkdir(parents=True, exist_ok=True)
    datasets = {
        shape: BounceDataset(num_clips, seed, shape=shape) for shape in (ClipShape(), *SHAPES)
    }
    rows = []
    for index in range(num_clips):
        name, odd = f"{index:05d}.mp4", index - (num_clips - num_odd)
        shape = ClipShape() if odd < 0 else SHAPES[odd % len(SHAPES)]
        sample = datasets[shape][index]
        clip = Clip(sample.frames, shape.frame_rate, sample.waveform, shape.sample_rate)
        content = encode_clip(clip, ".mp4") if odd < 0 else odd_file(clip, odd)
        (folder / name).write_bytes(content)  # metadata.csv says when all are there
        rows.append((name, sample.caption))
    with atomic_write(metadata) as temporary, temporary.open("w", newline="") as file:
        csv.writer(file).writerows([("file_name", "text"), *rows])
    return metadata


def odd_file(clip: Clip, number: int) -> bytes:
    """Every third clip loses something: its sound, its picture, its end, or itself."""
    match number % 12:
        case 2:
            return encode_clip(replace(clip, waveform=None, sample_rate=None), ".mp4")
        case 5:
            return encode_clip(replace(clip, frames=None), ".mp4")
        case 8:
            whole = encode_clip(clip, ".mp4")
            return whole[: len(whole) // 2]
        case 11:
            return b"<!doctype html><title>404 Not Found</title>"
    return encode_clip(clip, ".mp4")


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--num", type=int, default=200)
    parser.add_argument("--odd", type=int, default=0, help="how many of them are odd")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--overwrite", action="store_true")
    given = parser.parse_args(words)
    try:
        metadata = write_bounce(
            given.folder,
            num_clips=given.num,
            num_odd=given.odd,
            seed=given.seed,
            overwrite=given.overwrite,
        )
    except (FileExistsError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{given.num} clips and {metadata}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
