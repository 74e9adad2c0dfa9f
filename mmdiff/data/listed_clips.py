"""ListedClips: what a source lists, brought to one spec; what is bad is reported, never raised."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from copy import copy
from dataclasses import astuple
from fractions import Fraction

from torch import Generator

from mmdiff.data.clip_spec import ClipSpec
from mmdiff.data.fit_clip import FittedClip, fit_clip
from mmdiff.data.gate import read_entry
from mmdiff.data.sources.listing import ClipEntry, Listing, Source
from mmdiff.data.sources.tar_member import open_media
from mmdiff.media.limits import Limits
from mmdiff.media.rejection import Reason, RejectedMedia, Rejection
from mmdiff.media.still import ANIMATED_SUFFIXES, is_animated
from mmdiff.values.sample import Sample, SampleFacts

FITTING = 2  # raise it when other pixels or samples come out of the same file and spec
PART_BYTES = 2**20
BEHIND_SECONDS = Fraction(1, 2)  # a span is resampled with what follows it


class ListedClips:
    """Clips by index: first the entries of the listing, then what could not even be listed.

    Item i is a function of the file and the spec alone: what the spec leaves to chance is drawn
    from the name of the clip.
    """

    def __init__(self, source: Source, spec: ClipSpec, *, limits: Limits | None = None) -> None:
        self.listing = source.listing()
        self.spec, self.limits = spec, limits or Limits()
        self._animations: dict[int, bool] = {}

    def subset(self, indices: Sequence[int], *, with_rejections: bool) -> "ListedClips":
        """The entries at `indices`, in their order; and what could not be listed, if asked for."""
        part = copy(self)
        rejections = self.listing.rejections if with_rejections else ()
        entries = tuple(self.entries[index] for index in indices)
        part.listing = Listing(entries, rejections, self.listing.weights)
        part._animations = {}
        return part

    @property
    def entries(self) -> tuple[ClipEntry, ...]:
        return self.listing.entries

    def __len__(self) -> int:
        return len(self.entries) + len(self.listing.rejections)

    def __getitem__(self, index: int) -> Sample | Rejection:
        try:
            return self.fitted(index).sample
        except RejectedMedia as error:
            return error.rejection

    def name_of(self, index: int) -> str:
        if index < len(self.entries):
            return self.entries[index].key
        return self.listing.rejections[index - len(self.entries)].file

    def fitted(
        self, index: int, generator: Generator | None = None, spec: ClipSpec | None = None
    ) -> FittedClip:
        """Read and fit, or RejectedMedia; with a generator, what the spec leaves to chance comes
        from it.

        spec  in place of `spec_of` it, with other modalities
        """
        if index >= len(self.entries):
            raise RejectedMedia(self.listing.rejections[index - len(self.entries)])
        entry = self.entries[index]
        # a first span needs no more than its own length of a long file
        needed = self.spec.duration_seconds + BEHIND_SECONDS
        seconds = None if self.spec.span == "random" else needed
        clip = read_entry(entry, self.limits, seconds=seconds)
        spec = spec or self.spec_of(index)
        return fit_clip(clip, spec, caption=entry.caption, key=entry.key, generator=generator)

    def spec_of(self, index: int) -> ClipSpec:
        """What an entry is brought to: images to one frame, animations as other clips."""
        entry, stills = self.entries[index], self.spec.of_stills
        if not entry.is_still or stills is self.spec:
            return self.spec
        if self.spec.num_frames == 1 or entry.suffixes.isdisjoint(ANIMATED_SUFFIXES):
            return stills
        if index not in self._animations:
            self._animations[index] = False
            # whoever reads the file says why it cannot be read
            with suppress(OSError, ValueError), open_media(entry.media) as stream:
                self._animations[index] = is_animated(stream)
        return self.spec if self._animations[index] else stills

    def facts(self, index: int) -> SampleFacts | Rejection:
        """Name, caption and a digest of all that the sample depends on; reads the file, decodes
        nothing."""
        if index >= len(self.entries):
            return self.listing.rejections[index - len(self.entries)]
        entry = self.entries[index]
        # the name matters only where something is drawn from it
        chance = entry.key if "random" in (self.spec.crop, self.spec.span) else ""
        digest = hashlib.sha256(repr((FITTING, astuple(self.spec), chance)).encode())
        digest.update(repr((entry.start_seconds, entry.end_seconds)).encode())
        try:
            for media in (entry.media, entry.audio):
                if media is not None:
                    with open_media(media) as stream:
                        while part := stream.read(PART_BYTES):
                            digest.update(part)
                digest.update(b"|")
        except FileNotFoundError:
            text = f"{entry.key} is not there any more"
            return Rejection(entry.key, Reason.MISSING, "open", text)
        except (OSError, ValueError) as error:
            text = f"{entry.key} cannot be read: {error}"
            return Rejection(entry.key, Reason.UNREADABLE, "open", text)
        return SampleFacts(entry.key, entry.caption, digest.hexdigest())
