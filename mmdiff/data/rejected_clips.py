"""What was left out of a latent cache, told by every process that filled it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mmdiff.data.sealed_json import digest_of, read_sealed, write_sealed
from mmdiff.media.rejection import Reason, Rejection
from mmdiff.values.sample import SampleFacts


@dataclass
class RejectedClips:
    """The bad clips that one of `world_size` processes met in a listing, by index."""

    listing: str
    rank: int
    bad: dict[int, Rejection] = field(default_factory=dict)

    @classmethod
    def of(
        cls, facts: Sequence[SampleFacts | Rejection], *, rank: int, world_size: int
    ) -> "RejectedClips":
        """Begins with those that could not even be listed."""
        bad = {
            index: one
            for index, one in enumerate(facts)
            if isinstance(one, Rejection) and index % world_size == rank
        }
        return cls(_listing(facts), rank, bad)

    def add(self, index: int, rejection: Rejection) -> None:
        self.bad[index] = rejection

    def write(self, folder: Path) -> None:
        rows = [{"index": index, **asdict(one)} for index, one in sorted(self.bad.items())]
        document = {"listing": self.listing, "clips": rows}
        write_sealed(folder / f"rejected_{self.rank:03d}.json", document)

    @staticmethod
    def read_all(
        folder: Path, facts: Sequence[SampleFacts | Rejection], *, world_size: int
    ) -> dict[int, Rejection] | None:
        """The bad clips of all processes; None while one of them has not ended."""
        listing, bad = _listing(facts), {}
        for rank in range(world_size):
            path = folder / f"rejected_{rank:03d}.json"
            cure = "delete it and run `mmdiff encode` again"
            document = read_sealed(path, cure=cure) if path.is_file() else {}
            if document.get("listing") != listing:
                return None
            for row in document["clips"]:
                index = row.pop("index")
                bad[index] = Rejection(**{**row, "reason": Reason(row["reason"])})
        return bad


def _listing(facts: Sequence[SampleFacts | Rejection]) -> str:
    return digest_of([one.file if isinstance(one, Rejection) else one.identity for one in facts])
