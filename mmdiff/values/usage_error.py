"""What a user sees who asked for something impossible: one screen, no traceback."""

from collections.abc import Iterable
from difflib import get_close_matches


class UsageError(ValueError):
    """A wrong key, group or value: what was got, where it belongs, what is nearest.

    `problem` is the headline, `key` the one that is wrong; the other fields are lines of the
    screen and may be empty.
    """

    def __init__(
        self,
        problem: str,
        *,
        key: str = "",
        got: str = "",
        belongs: str = "",
        nearest: str = "",
        cure: str = "",
    ) -> None:
        super().__init__(problem)
        self.problem = problem
        self.key = key
        self.got = got
        self.belongs = belongs
        self.nearest = nearest
        self.cure = cure

    def screen(self, verb: str) -> str:
        rows = {
            "got": shortened(self.got),
            "belongs": self.belongs,
            "nearest": self.nearest,
            "cure": self.cure,
            "help": f"mmdiff {verb} --help",
        }
        lines = [f"  {name:<8} {text}" for name, text in rows.items() if text]
        return "\n".join([f"mmdiff {verb}: {shortened(self.problem, 400)}", *lines])


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The known name most like `word`, or an empty string when none is like it."""
    names = list(known)
    by_ending = {name.rsplit(".", 1)[-1]: name for name in reversed(names)}
    whole = get_close_matches(word, names, n=1, cutoff=cutoff)
    ending = get_close_matches(word.rsplit(".", 1)[-1], by_ending, n=1, cutoff=max(cutoff, 0.7))
    if whole:
        return whole[0]
    return by_ending[ending[0]] if ending else ""


def shortened(text: str, length: int = 160) -> str:
    """One line of printable characters: control characters escaped, a long text cut."""
    line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text[: 4 * length])
    if len(text) <= 4 * length and len(line) <= length:
        return line
    return f"{line[: length - 20]} ... ({len(text)} characters)"
