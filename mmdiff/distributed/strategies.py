"""How the ranks of a run work together, and what must be the same on all of them."""

from datetime import timedelta

from lightning.pytorch.strategies import DDPStrategy


class RanksDisagree(RuntimeError):  # noqa: N818
    """The processes of a run were started so that they cannot work together; the message says in
    what they differ, with a hint."""


def data_parallel(*, backend: str | None = None, timeout_seconds: float = 600) -> DDPStrategy:
    """Every process trains on its part of each batch; a peer that does not answer in time ends the
    run. ValueError unless `timeout_seconds` is above 0."""
    if not timeout_seconds > 0:
        raise ValueError(
            f"timeout_seconds is {timeout_seconds}; it must be above 0: 600 are ten minutes"
        )
    return DDPStrategy(
        process_group_backend=backend,
        # torch's own is half an hour, for which a run with a dead peer would hang
        timeout=timedelta(seconds=timeout_seconds),
        gradient_as_bucket_view=True,
    )
