"""What must be the same on all ranks of a run."""


class RanksDisagree(RuntimeError):  # noqa: N818
    """The processes of a run were started so that they cannot work together; the message says in
    what they differ, and the cure."""
