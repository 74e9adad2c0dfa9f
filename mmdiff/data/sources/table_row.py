"""A row of a table that lists clips, whatever format the table has."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mmdiff.media.rejection import Rejection

MOST_CLIPS = 10**7  # that one source may list
MAX_TABLE_BYTES = 2**30  # what a table may hold, unpacked; more is no list of clips


@dataclass(frozen=True)
class TableRow:
    """place: "metadata.csv line 7"; cells: values by column, of the types that the format has"""

    place: str
    cells: Mapping[str, object]


Rows = Iterator[TableRow | Rejection]
