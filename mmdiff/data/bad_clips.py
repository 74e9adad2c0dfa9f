"""How many bad clips a data set may have, and what is said where there are more."""

from collections.abc import Sequence

from mmdiff.media.rejection import Reason, printable

NAMES_SHOWN = 20
LACKING = (Reason.NO_PICTURE, Reason.NO_SOUND)
"""A clip without the half that is asked for is left out and told, and is not bad."""


class TooManyBadFiles(ValueError):  # noqa: N818 (so it is said)
    """More of the listed clips are bad than `max_bad_fraction` allows; the message lists them."""


def are_too_many(
    num_left_out: int, num_lacking: int, num_listed: int, max_bad_fraction: float
) -> bool:
    """Whether more of the clips are bad than the fraction, or none is left.

    num_lacking  those of `num_left_out` that only lack a half
    """
    num_bad = num_left_out - num_lacking
    return num_left_out >= num_listed or num_bad > max_bad_fraction * num_listed


def too_many(
    bad: Sequence[tuple[str, Reason]], num_listed: int, max_bad_fraction: float
) -> TooManyBadFiles:
    """The error that says it, with names and the cure; `bad`: names with what is wrong."""
    if not num_listed:
        return TooManyBadFiles("the source lists no clips at all; `mmdiff data-check` says why")
    if len(bad) < num_listed:
        bad = [(name, reason) for name, reason in bad if reason not in LACKING]
    lines = [f"{reason:<12} {printable(name)}" for name, reason in bad[:NAMES_SHOWN]]
    if len(bad) > NAMES_SHOWN:
        lines.append(f"and {len(bad) - NAMES_SHOWN} more")
    if len(bad) == num_listed:
        than = ""
    else:
        than = f", more than max_bad_fraction={max_bad_fraction:g}"
    head = (
        f"{len(bad)} of {num_listed} clips are bad ({len(bad) / num_listed:.2%}){than}; "
        "`mmdiff data-check` lists all of them with the cure"
    )
    return TooManyBadFiles("\n".join([head, *lines]))
