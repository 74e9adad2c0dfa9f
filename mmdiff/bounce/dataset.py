"""The world as a data set: item i is a pure function of (seed, split, i)."""

from collections.abc import Iterator
from hashlib import blake2b
from typing import Literal

from torch import Generator
from torch.utils.data import Dataset

from mmdiff.bounce.bounce import Bounce
from mmdiff.bounce.caption import caption
from mmdiff.bounce.draw import draw_frames, draw_waveform
from mmdiff.values.sample import Sample, SampleFacts
from mmdiff.values.shapes import ClipShape

Split = Literal["train", "held_out", "all"]
HELD_OUT: dict[str, bool | None] = {"train": False, "held_out": True, "all": None}


class BounceDataset(Dataset[Sample]):
    """Clips drawn when asked for.

    `split` says which (color, shape, motion) triples occur: those of training, those held out of
    it, or all.
    """

    def __init__(
        self,
        num_clips: int,
        seed: int = 0,
        *,
        split: Split = "train",
        shape: ClipShape | None = None,
    ) -> None:
        if num_clips < 1:
            raise ValueError(f"num_clips is {num_clips}; a data set has 1 clip or more")
        if split not in HELD_OUT:
            raise ValueError(f"split is {split!r}; possible are {', '.join(HELD_OUT)}")
        self.num_clips, self.seed, self.split = num_clips, seed, split
        self.shape = shape if shape is not None else ClipShape()

    def __len__(self) -> int:
        return self.num_clips

    def event(self, index: int) -> Bounce:
        """What item `index` shows, without drawing it."""
        generator = self._generator(index, "event")
        return Bounce.random(generator, held_out=HELD_OUT[self.split])

    def __getitem__(self, index: int) -> Sample:
        event = self.event(index)
        return Sample(
            frames=draw_frames(event, self.shape),
            waveform=draw_waveform(event, self.shape),
            caption=caption(event, self._generator(index, "caption")),
            key=event.key,
            frame_rate=self.shape.frame_rate,
            sample_rate=self.shape.sample_rate,
        )

    def facts(self, index: int) -> SampleFacts:
        """What item `index` is, without drawing it."""
        event = self.event(index)
        text = caption(event, self._generator(index, "caption"))
        return SampleFacts(event.key, text, f"bounce|{event.key}|{self.shape}")

    def captions(self) -> Iterator[str]:
        """The caption of every item in order, without drawing any: what a tokenizer learns from."""
        for index in range(self.num_clips):
            yield caption(self.event(index), self._generator(index, "caption"))

    def _generator(self, index: int, purpose: str) -> Generator:
        if not 0 <= index < self.num_clips:
            raise IndexError(f"index is {index}; this data set has {self.num_clips} clips")
        return keyed_generator(self.seed, self.split, purpose, index)


def random_prompts(num: int, seed: int, *, held_out: bool | None = None) -> list[Bounce]:
    """Events to evaluate by; their prompts are `caption(event)`."""
    return [
        Bounce.random(keyed_generator(seed, "prompts", held_out, index), held_out=held_out)
        for index in range(num)
    ]


def keyed_generator(*parts: object) -> Generator:
    """A generator of its own for every key, whatever order they are asked in."""
    digest = blake2b("|".join(str(part) for part in parts).encode(), digest_size=8).digest()
    return Generator().manual_seed(int.from_bytes(digest, "little") >> 1)
