"""ListedClips: what a source lists, brought to one spec; what is bad is told, never raised."""

import hashlib
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import astuple
from fractions import Fraction
from pathlib import Path

from torch import Generator

from mmdiff.data.files.clip_spec import ClipSpec
from mmdiff.data.files.fit_clip import FittedClip, fit_clip
from mmdiff.data.files.read_entry import read_entry
from mmdiff.data.sources.clip_entry import ClipEntry, Listing, Media, Source
from mmdiff.data.sources.stem_files import suffix_of
from mmdiff.data.sources.weighted_sources import WeightedSources
from mmdiff.media.limits import Limits
from mmdiff.media.rejection import Reason, Rejection, printable
from mmdiff.media.still import ANIMATED_SUFFIXES, is_animated
from mmdiff.values.sample import Sample, SampleFacts

FITTING = 2  # raise it when other pixels or samples come out of the same file and spec
PART = 2**20
BEHIND_SECONDS = Fraction(1, 2)  # a stretch is resampled with what follows it


class ListedClips:
    """Clips by index: first the entries of the listing, then what could not even be listed.

    Item i is a function of the file and the spec alone: what the spec leaves to chance is drawn
    from the name of the clip.

    mixture  the weights of the sources, where there are several
    """

    def __init__(self, source: Source, spec: ClipSpec, *, limits: Limits | None = None) -> None:
        self.mixture = source.mixture() if isinstance(source, WeightedSources) else None
        self.listing = source.listing() if self.mixture is None else self.mixture.listing
        self.spec, self.limits = spec, limits or Limits()
        self._animations: dict[int, bool] = {}

    def subset(self, indices: Sequence[int], *, with_rejections: bool) -> "ListedClips":
        """The entries at `indices`, in their order; and what could not be listed, if asked for."""
        part = copy(self)
        rejections = self.listing.rejections if with_rejections else ()
        part.listing = Listing(tuple(self.entries[index] for index in indices), rejections)
        part._animations = {}
        part.mixture = self.mixture and self.mixture.subset(indices, part.listing)
        return part

    @property
    def entries(self) -> tuple[ClipEntry, ...]:
        return self.listing.entries

    def __len__(self) -> int:
        return len(self.entries) + len(self.listing.rejections)

    def __getitem__(self, index: int) -> Sample | Rejection:
        fitted = self.fitted(index)
        return fitted.sample if isinstance(fitted, FittedClip) else fitted

    def fitted(
        self, index: int, generator: Generator | None = None, spec: ClipSpec | None = None
    ) -> FittedClip | Rejection:
        """Read and fit; with a generator, what the spec leaves to chance comes from it.

        spec  in place of `spec_of` it, with other halves
        """
        if index >= len(self.entries):
            return self.listing.rejections[index - len(self.entries)]
        entry = self.entries[index]
        clip = read_entry(entry, self.limits, seconds=self._needed_seconds())
        if isinstance(clip, Rejection):
            return clip
        spec = spec or self.spec_of(index)
        return fit_clip(clip, spec, caption=entry.caption, key=entry.key, generator=generator)

    def spec_of(self, index: int) -> ClipSpec:
        """What an entry is brought to: images to one frame, animations as other clips."""
        entry, stills = self.entries[index], self.spec.of_stills
        if not entry.is_still or stills is self.spec:
            return self.spec
        suffixes = {suffix_of(entry.key), suffix_of(str(entry.media))}
        if self.spec.num_frames == 1 or suffixes.isdisjoint(ANIMATED_SUFFIXES):
            return stills
        if index not in self._animations:
            self._animations[index] = _is_animated(entry.media)
        return self.spec if self._animations[index] else stills

    def facts(self, index: int) -> SampleFacts | Rejection:
        """Name, caption and a digest of all that the sample depends on; reads the file, decodes
        nothing."""
        if index >= len(self.entries):
            return self.listing.rejections[index - len(self.entries)]
        entry = self.entries[index]
        digest = hashlib.sha256(repr((FITTING, astuple(self.spec), self._chance(entry))).encode())
        digest.update(repr((entry.start_seconds, entry.end_seconds)).encode())
        try:
            for media in (entry.media, entry.audio):
                for part in _parts(media):
                    digest.update(part)
                digest.update(b"|")
        except FileNotFoundError:
            text = f"{printable(entry.key)} is not there any more"
            return Rejection(entry.key, Reason.MISSING, "open", text)
        except (OSError, ValueError) as error:
            text = printable(f"{entry.key} cannot be read: {error}")
            return Rejection(entry.key, Reason.UNREADABLE, "open", text)
        return SampleFacts(entry.key, entry.caption, digest.hexdigest())

    def _needed_seconds(self) -> Fraction | None:
        """A first stretch needs no more than its own length of a long file."""
        if self.spec.stretch == "random":
            return None
        return self.spec.duration_seconds + BEHIND_SECONDS

    def _chance(self, entry: ClipEntry) -> str:
        """The name matters only where something is drawn from it."""
        return entry.key if "random" in (self.spec.crop, self.spec.stretch) else ""


def _is_animated(media: Media) -> bool:
    try:
        with media.open("rb") if isinstance(media, Path) else media.open() as stream:
            return is_animated(stream)
    except (OSError, ValueError):
        return False  # whoever reads it says why


def _parts(media: Media | None) -> Iterator[bytes]:
    if media is None:
        return
    with media.open("rb") if isinstance(media, Path) else media.open() as stream:
        while part := stream.read(PART):
            yield part
