"""FileClips: training samples from files; a bad file is replaced, counted, and never in silence."""

import logging
from collections import Counter
from collections.abc import Sequence

from torch import Generator

from mmdiff.data.bad_clips import are_too_many, too_many
from mmdiff.data.batch import ClipBatch
from mmdiff.data.bucket_order import BucketOrder
from mmdiff.data.checksummed_json import digest_of
from mmdiff.data.clip_types import clip_types, modalities_of_type, spec_of_type
from mmdiff.data.listed_clips import ListedClips
from mmdiff.data.order import EndlessOrder, WeightedOrder, keyed_seed
from mmdiff.data.sources.listing import source_of
from mmdiff.data.worker_status import WorkerStatus
from mmdiff.media.rejection import Reason, RejectedMedia, printable
from mmdiff.values.checks import check_fractions
from mmdiff.values.latents import Modality
from mmdiff.values.sample import Sample

_log = logging.getLogger(__name__)

NAMES_IN_LOG = 3


class FileClips:
    """Sample number k is clip k modulo their number; crop and span are drawn from (seed, k).

    In place of a bad clip, and of one without the modality that is asked for, attempt 1, 2, ...
    reads the clip that (seed, k, attempt) draws, so what is trained on does not depend on workers,
    ranks or on where a run was resumed. Bad clips count once each, out of all that were listed.

    In the order of `order` each batch is of clips of one type; a clip is then replaced by another
    of its type.

    Raises TooManyBadFiles where more than `max_bad_fraction` of them, or all, are known to be bad.
    """

    def __init__(self, clips: ListedClips, *, seed: int, max_bad_fraction: float = 0.01) -> None:
        check_fractions(max_bad_fraction=max_bad_fraction)
        self.clips, self.seed, self.max_bad_fraction = clips, seed, max_bad_fraction
        self.status = WorkerStatus(len(clips.entries))
        self.types: list[str] = []  # before `sort`: clips are taken to be of one type
        self._buckets: dict[str, list[int]] = {}
        self._reported: list[str] = []
        self._unlisted = Counter(one.reason for one in clips.listing.rejections)

    def __len__(self) -> int:
        return len(self.clips.entries)

    def __getitem__(self, number: int) -> tuple[int, Sample]:
        attempt = 0
        while True:
            self.check()
            sample = self._sample(number, attempt)
            if sample is not None:
                return number, sample
            attempt += 1

    def sort(self) -> None:
        """Find out what each clip has, so that a batch can be of clips of one type."""
        if not self._buckets:
            self.types = clip_types(self.clips)
            for index, clip_type in enumerate(self.types):
                self._buckets.setdefault(clip_type, []).append(index)

    @property
    def buckets(self) -> dict[str, list[int]]:
        """The clips of each type."""
        self.sort()
        return self._buckets

    @property
    def modalities(self) -> set[Modality] | None:
        """What the clips have between them; None before `sort`."""
        return {one for clip_type in self._buckets for one in modalities_of_type(clip_type)} or None

    def order(
        self, batch_size: int, *, seed: int, rank: int = 0, world_size: int = 1
    ) -> EndlessOrder | BucketOrder:
        """The endless order of the samples, by weight where there are several sources.

        ValueError where there are fewer clips of a type than make a batch.
        """
        keyed = {"seed": seed, "rank": rank, "world_size": world_size}
        weights = self.clips.listing.weights
        if len(self.buckets) < 2 and weights is None:
            return EndlessOrder(len(self), batch_size, **keyed)
        counts = Counter(source_of(key) for key in self.keys())
        if len(self.buckets) < 2 and weights is not None:
            counted = [counts[source] for source in weights]
            return WeightedOrder(counted, list(weights.values()), batch_size, **keyed)
        buckets, probabilities = self.buckets, None
        if weights is not None:
            buckets = {
                f"{source}/{clip_type}": inside
                for source in weights
                for clip_type, indices in self.buckets.items()
                if (inside := [i for i in indices if source_of(self.name_of(i)) == source])
            }
            probabilities = {
                name: weights[source_of(name)] * len(indices) / counts[source_of(name)]
                for name, indices in buckets.items()
            }
        fewest = min(map(len, buckets.values()))
        if fewest < batch_size:
            found = ", ".join(f"{len(indices)} {name}" for name, indices in buckets.items())
            raise ValueError(
                f"the clips are of several types ({found}), a batch is of one, and batch_size is "
                f"{batch_size}. data.spec.audio=ignored (or video=ignored) trains on the other "
                "modality alone, audio=required leaves clips without it out, stills=dropped "
                f"images; or set data.batch_size to at most {fewest}"
            )
        return BucketOrder(buckets, batch_size, probabilities=probabilities, **keyed)

    def keys(self) -> Sequence[str]:
        return [entry.key for entry in self.clips.entries]

    def name_of(self, index: int) -> str:
        return self.clips.entries[index].key

    def subset(self, indices: Sequence[int], *, is_held_out: bool) -> "FileClips":
        """These clips alone. Held out, they are cut alike in every run, and few of them may be bad
        where that is many of so few: they are left out and counted, but no reason to stop."""
        return type(self)(
            self.clips.subset(indices, with_rejections=not is_held_out),
            seed=0 if is_held_out else self.seed,
            max_bad_fraction=1.0 if is_held_out else self.max_bad_fraction,
        )

    @property
    def fingerprint(self) -> dict[str, str]:
        """Of the list: names, captions and spans."""
        entries = self.clips.entries
        rows = [
            (one.key, one.caption, str(one.start_seconds), str(one.end_seconds)) for one in entries
        ]
        return {"clips": digest_of(rows)}

    def collate(self, items: Sequence[tuple[int, Sample]]) -> ClipBatch:
        return ClipBatch.collate(items)

    def entry(self, number: int, attempt: int) -> int:
        """Which entry of the listing is read for a sample, in place of `attempt` bad ones."""
        if attempt == 0:
            return number % len(self)
        drawn = keyed_seed("substitute", self.seed, number, attempt)
        if not self.types:
            return drawn % len(self)
        same = self._buckets[self.types[number % len(self)]]
        return same[drawn % len(same)]

    def _sample(self, number: int, attempt: int) -> Sample | None:
        entry = self.entry(number, attempt)
        if self.status.reason(entry) is not None:
            return None
        generator = Generator().manual_seed(keyed_seed("fit", self.seed, number, attempt))
        spec = spec_of_type(self.types[entry], self.clips.spec) if self.types else None
        with self.status.reading(number, entry, self.name_of(entry)):
            try:
                sample = self.clips.fitted(entry, generator, spec).sample
                self.status.mark(entry, None)
                return sample
            except RejectedMedia as error:
                self.status.mark(entry, error.rejection.reason)
        return None

    def left_out(self) -> list[tuple[str, Reason]]:
        """Clips known to be left out so far, with those that could not even be listed."""
        listed = [(one.file, one.reason) for one in self.clips.listing.rejections]
        return listed + [(self.name_of(entry), reason) for entry, reason in self.status.bad()]

    def check(self) -> None:
        """Raise TooManyBadFiles as soon as it is known; in any process."""
        counts = self._unlisted + self.status.counts()
        if are_too_many(counts, len(self.clips), self.max_bad_fraction):
            raise too_many(self.left_out(), len(self.clips), self.max_bad_fraction)

    def report(self) -> None:
        """Log what became known to be left out since the last call; raises as `check` does."""
        self.check()
        if (self._unlisted + self.status.counts()).total() == len(self._reported):
            return
        left_out = self.left_out()
        known = set(self._reported)
        new = [f"{name} ({reason})" for name, reason in left_out if name not in known]
        _log.warning(
            "%d of %d clips are left out so far (%.2f %%); others take their place; new: %s",
            len(left_out),
            len(self.clips),
            100 * len(left_out) / len(self.clips),
            printable(", ".join(new[:NAMES_IN_LOG]) + (", ..." if len(new) > NAMES_IN_LOG else "")),
        )
        self._reported = [name for name, _ in left_out]
