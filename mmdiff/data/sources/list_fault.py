"""How a source says that it leaves a file out: one printable line."""

from mmdiff.media.rejection import Reason, Rejection

SHOWN_CHARACTERS = 200


def list_fault(file: str, reason: Reason, fault: str, *, cure: str | None = None) -> Rejection:
    """A rejection while listing; `cure` stands for the general one of the reason.

    The name of the file may hold anything: line ends, control characters, bytes that are no text.
    """
    message = f"{shown(file)} {fault}: {cure or reason.hint}"
    return Rejection(file=printable(file), reason=reason, stage="list", message=message)


def shown(text: str) -> str:
    """Foreign text inside of a message: quoted, on one line, shortened in the middle."""
    half = SHOWN_CHARACTERS // 2
    short = text if len(text) <= SHOWN_CHARACTERS else f"{text[:half]} ... {text[-half:]}"
    return repr(short)


def printable(text: str) -> str:
    """Text that can be written as UTF-8: what is no character is escaped."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
