"""FileClips: training samples from files; a bad file is replaced, counted, and never in silence."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

from torch import Generator
from torch.utils.data import get_worker_info

from mmdiff.data.bad_clips import are_too_many, too_many
from mmdiff.data.batch import ClipBatch
from mmdiff.data.buckets import BucketOrder
from mmdiff.data.files.clip_kinds import ClipKinds, Kind
from mmdiff.data.files.kinds_order import kinds_order
from mmdiff.data.files.listed_clips import ListedClips
from mmdiff.data.files.reading_ledger import Reading, ReadingLedger
from mmdiff.data.order import EndlessOrder, keyed_seed
from mmdiff.data.sealed_json import digest_of
from mmdiff.media.rejection import Reason, Rejection, printable
from mmdiff.testing.fault_plan import fault_point
from mmdiff.values.checks import check_fractions
from mmdiff.values.latents import Modality
from mmdiff.values.sample import Sample

_log = logging.getLogger(__name__)

NAMES_IN_LOG = 3


class ReadingFailed(RuntimeError):  # noqa: N818
    """A worker was killed, hung, or met a fault of ours; the message names the worker, the sample
    and the file."""


class FileClips:
    """Sample number k is clip k modulo their number; crop and stretch are drawn from (seed, k).

    In place of a bad clip, and of one without the half that is asked for, attempt 1, 2, ... reads
    the clip that (seed, k, attempt) draws, so what is trained on does not depend on workers, ranks
    or on where a run was resumed. Bad clips count once each, out of all that were listed.

    In the order of `order` each batch is of clips with the same halves; a clip is then replaced by
    another with its halves.

    Raises TooManyBadFiles where more than `max_bad_fraction` of them, or all, are known to be bad.
    """

    def __init__(self, clips: ListedClips, *, seed: int, max_bad_fraction: float = 0.01) -> None:
        check_fractions(max_bad_fraction=max_bad_fraction)
        self.clips, self.seed, self.max_bad_fraction = clips, seed, max_bad_fraction
        self.ledger = ReadingLedger(len(clips.entries))
        self._num_told, self._told = 0, frozenset[str]()
        self.kinds: ClipKinds | None = None  # None before `order`: clips are taken to be alike
        self._alike: dict[Kind, list[int]] = {}

    def __len__(self) -> int:
        return len(self.clips.entries)

    def __getitem__(self, number: int) -> tuple[int, Sample]:
        fault_point("data.read", number)
        attempt = 0
        while True:
            self.check()
            entry = self.entry(number, attempt)
            sample = self._sample(number, attempt, entry)
            if sample is not None:
                return number, sample
            attempt += 1

    def order(
        self, batch_size: int, *, seed: int, rank: int = 0, world_size: int = 1
    ) -> EndlessOrder | BucketOrder:
        """The endless order of the samples, by weight where there are several sources.

        ValueError where there are fewer clips of a kind than make a batch.
        """
        self.sort()
        mixture, place = self.clips.mixture, {"seed": seed, "rank": rank, "world_size": world_size}
        if len(self._alike) > 1:
            return kinds_order(self._alike, batch_size, mixture=mixture, **place)
        if mixture is not None:
            return mixture.order(batch_size, **place)
        return EndlessOrder(len(self), batch_size, **place)

    def sort(self) -> None:
        """Find out what each clip has, so that a batch can be of clips that are alike."""
        if self.kinds is None:
            self.kinds = ClipKinds.of(self.clips)
            self._alike = self.kinds.buckets()

    @property
    def buckets(self) -> dict[str, list[int]]:
        """The clips by what they have, for batches of clips that are alike."""
        self.sort()
        return {str(kind): indices for kind, indices in self._alike.items()}

    def keys(self) -> Sequence[str]:
        return [entry.key for entry in self.clips.entries]

    def subset(self, indices: Sequence[int], *, is_held_out: bool) -> "FileClips":
        """These clips alone. Held out, they are cut alike in every run, and few of them may be bad
        where that is many of so few: they are left out and counted, but no reason to stop."""
        return type(self)(
            self.clips.subset(indices, with_rejections=not is_held_out),
            seed=0 if is_held_out else self.seed,
            max_bad_fraction=1.0 if is_held_out else self.max_bad_fraction,
        )

    @property
    def halves(self) -> set[Modality] | None:
        """What the clips have between them; None before `order`."""
        return {half for kind in self._alike for half in kind.halves} or None

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
        if self.kinds is None:
            return drawn % len(self)
        alike = self._alike[self.kinds.kinds[number % len(self)]]
        return alike[drawn % len(alike)]

    def _sample(self, number: int, attempt: int, entry: int) -> Sample | None:
        if self.ledger.reason(entry) is not None:
            return None
        generator = Generator().manual_seed(keyed_seed("fit", self.seed, number, attempt))
        key = self.clips.entries[entry].key
        with self.ledger.reading(number, entry), NamedFailure(number, key):
            spec = None if self.kinds is None else self.kinds.spec(entry, self.clips.spec)
            fitted = self.clips.fitted(entry, generator, spec)
        if isinstance(fitted, Rejection):
            self.ledger.mark(entry, fitted.reason)
            return None
        self.ledger.mark(entry, None)
        return fitted.sample

    @property
    def num_listed(self) -> int:
        return len(self.clips)

    @property
    def num_left_out(self) -> int:
        """Clips known to be left out so far, with those that could not even be listed."""
        return self.ledger.num_left_out + len(self.clips.listing.rejections)

    def check(self) -> None:
        """Raise TooManyBadFiles as soon as it is known; in any process."""
        counts = self.num_left_out, self.ledger.num_lacking, self.num_listed
        if are_too_many(*counts, self.max_bad_fraction):
            raise too_many(self._left_out(), self.num_listed, self.max_bad_fraction)

    def tell(self) -> None:
        """Log what became known to be left out since the last call; raises as `check` does."""
        self.check()
        if self.num_left_out == self._num_told:
            return
        names = self._left_out()
        new = [f"{name} ({reason})" for name, reason in names if name not in self._told]
        shown = ", ".join(new[:NAMES_IN_LOG]) + (", ..." if len(new) > NAMES_IN_LOG else "")
        _log.warning(
            "%d of %d clips are left out so far (%.2f %%); others take their place; new: %s",
            len(names),
            self.num_listed,
            100 * len(names) / self.num_listed,
            shown,
        )
        self._num_told, self._told = len(names), frozenset(name for name, _ in names)

    def where(self, reading: Reading) -> str:
        """A place in words."""
        key = self.clips.entries[reading.entry].key
        return f"{reading}, {key}"

    def _left_out(self) -> list[tuple[str, Reason]]:
        listed = [(one.file, one.reason) for one in self.clips.listing.rejections]
        bad = self.ledger.bad().items()
        names = listed + [(self.clips.entries[entry].key, reason) for entry, reason in bad]
        return [(printable(name), reason) for name, reason in names]


@dataclass(frozen=True)
class NamedFailure:
    """Whatever the gate does not expect travels to the main process as one picklable error that
    names worker, sample and file."""

    number: int
    key: str

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, Exception):
            info = get_worker_info()
            worker = "the main process" if info is None else f"worker {info.id}"
            raise ReadingFailed(
                f"{worker} failed at sample {self.number}, {self.key}: "
                f"{type(error).__name__}: {error}"
            ) from error
