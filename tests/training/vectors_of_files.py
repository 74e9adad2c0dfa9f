"""Vectors that are read from image files, two of which are bad."""

import random
from collections.abc import Sequence
from pathlib import Path

from einops import rearrange
from PIL import Image

from mmdiff.data.batch import LatentBatch
from mmdiff.data.clip_spec import ClipSpec
from mmdiff.data.file_clips import FileClips
from mmdiff.data.listed_clips import ListedClips
from mmdiff.values.latents import ClipLatents
from mmdiff.values.sample import Sample
from tests.data.listed import Listed

NUM_FILES = 22


class VectorsOfFiles(FileClips):
    """What `TinyModule` takes, of images of 1 x 2 pixels."""

    def collate(self, items: Sequence[tuple[int, Sample]]) -> LatentBatch:
        batch = super().collate(items)
        rows = rearrange(batch.picture / 127.5 - 1, "b 1 h w c -> b (h w c)")
        return LatentBatch(ClipLatents(video=rows), batch.captions, batch.sample_ids)


def write_files(folder: Path) -> Path:
    """Files 3 and 11 of 22 are bad."""
    chance = random.Random(5)
    folder.mkdir()
    for index in range(NUM_FILES):
        image = Image.new("RGB", (2, 1))
        image.putdata([tuple(chance.randbytes(3)) for _ in range(2)])
        image.save(folder / f"{index:02d}.png")
    for index, content in ((3, b""), (11, (folder / "11.png").read_bytes()[:50])):
        (folder / f"{index:02d}.png").write_bytes(content)
    return folder


def vectors_of(files: Path) -> VectorsOfFiles:
    names = [f"{index:02d}.png" for index in range(NUM_FILES)]
    spec = ClipSpec(1, height=1, width=2, audio="ignored", crop="random")
    return VectorsOfFiles(ListedClips(Listed(files, names), spec), seed=3, max_bad_fraction=0.2)
