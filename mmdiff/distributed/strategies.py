"""Strategies of Lightning with the settings that keep a stuck process from hanging a run."""

from datetime import timedelta

from lightning.pytorch.strategies import DDPStrategy


def data_parallel(*, backend: str | None = None, timeout_seconds: float = 600) -> DDPStrategy:
    """Every process trains on its part of each batch; a peer that does not answer in time ends the
    run. ValueError unless `timeout_seconds` is above 0."""
    if not timeout_seconds > 0:
        raise ValueError(
            f"timeout_seconds is {timeout_seconds}; it must be above 0: 600 are ten minutes"
        )
    return DDPStrategy(
        process_group_backend=backend,
        timeout=timedelta(seconds=timeout_seconds),
        gradient_as_bucket_view=True,
    )
