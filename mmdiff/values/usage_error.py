"""What a user sees who asked for something impossible: one screen, no traceback."""

from collections.abc import Iterable
from difflib import get_close_matches


class UsageError(ValueError):
    """A wrong key, group or value. `problem` is the headline: what was got; below it stand what is
    possible, what is nearest, and a hint that works, as far as they are given."""

    def __init__(
        self, problem: str, *, possible: str = "", nearest: str = "", hint: str = ""
    ) -> None:
        super().__init__(problem)
        self.problem = problem
        self.possible = possible
        self.nearest = nearest
        self.hint = hint

    def screen(self, verb: str) -> str:
        rows = {
            "possible": self.possible,
            "nearest": self.nearest,
            "hint": self.hint,
            "help": f"mmdiff {verb} --help",
        }
        lines = [f"  {name:<8} {text}" for name, text in rows.items() if text]
        return "\n".join([f"mmdiff {verb}: {shortened(self.problem, 400)}", *lines])


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The known name most like `word`, whole or behind its last dot; empty when none is like it."""
    names = list(known)
    by_ending = {name.rsplit(".", 1)[-1]: name for name in reversed(names)}
    whole = get_close_matches(word, names, n=1, cutoff=cutoff)
    ending = get_close_matches(word.rsplit(".", 1)[-1], by_ending, n=1, cutoff=max(cutoff, 0.7))
    return whole[0] if whole else by_ending[ending[0]] if ending else ""


def shortened(text: str, length: int = 160) -> str:
    """One line of printable characters: control characters escaped, a long text cut."""
    line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text[: 4 * length])
    if len(text) <= 4 * length and len(line) <= length:
        return line
    return f"{line[: length - 20]} ... ({len(text)} characters)"
