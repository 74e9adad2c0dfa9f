"""How many bad clips a data set may have, and what is said where there are more."""

from collections.abc import Mapping, Sequence

from mmdiff.media.rejection import Reason, printable

NAMES_SHOWN = 20
# a clip without the modality that is asked for is left out and reported, and is not bad
LACKING = (Reason.NO_PICTURE, Reason.NO_SOUND)


class TooManyBadFiles(ValueError):  # noqa: N818 (so it is said)
    """More of the listed clips are bad than `max_bad_fraction` allows; the message lists them."""


def are_too_many(left_out: Mapping[Reason, int], num_listed: int, max_bad_fraction: float) -> bool:
    """Whether more of the clips are bad than the fraction, or none is left.

    left_out  how many clips, by what is wrong
    """
    num_left_out = sum(left_out.values())
    num_bad = num_left_out - sum(left_out.get(reason, 0) for reason in LACKING)
    return num_left_out >= num_listed or num_bad > max_bad_fraction * num_listed


def too_many(
    left_out: Sequence[tuple[str, Reason]], num_listed: int, max_bad_fraction: float
) -> TooManyBadFiles:
    """The error that says it; `left_out`: names with what is wrong."""
    if not num_listed:
        return TooManyBadFiles("the source lists no clips at all; `mmdiff data-check` says why")
    than = ""
    if len(left_out) < num_listed:
        left_out = [(name, reason) for name, reason in left_out if reason not in LACKING]
        than = f", more than max_bad_fraction={max_bad_fraction:g}"
    lines = [
        f"{len(left_out)} of {num_listed} clips are bad ({len(left_out) / num_listed:.2%}){than}; "
        "`mmdiff data-check` lists all of them with what to do",
        *(f"{reason:<12} {printable(name)}" for name, reason in left_out[:NAMES_SHOWN]),
    ]
    if len(left_out) > NAMES_SHOWN:
        lines.append(f"and {len(left_out) - NAMES_SHOWN} more")
    return TooManyBadFiles("\n".join(lines))
