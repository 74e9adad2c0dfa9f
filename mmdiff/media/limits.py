"""How much one media file may cost: time, bytes, frames, sides, length."""

from dataclasses import dataclass, fields

GIB = 2**30


@dataclass(frozen=True)
class Limits:
    """What a file may cost at most; checked from its header, and again while it is decoded.

    max_seconds           of the clock on the wall, for one file
    max_file_bytes        the size of the file
    max_decoded_bytes     frames (3 bytes a pixel) and sound (4 bytes a sample) of what is read
    max_duration_seconds  of what is read: the whole file, or the span that is asked for
    max_side              pixels of the longer side
    max_frames            of what is read

    Raises ValueError where one is not positive.
    """

    max_seconds: float = 60.0
    max_file_bytes: int = 32 * GIB
    max_decoded_bytes: int = 4 * GIB
    max_duration_seconds: float = 3600.0
    max_side: int = 8192
    max_frames: int = 100_000

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value > 0:
                raise ValueError(f"{field.name} is {value}; a limit is a positive number")
