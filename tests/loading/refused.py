"""What a refusal may cost: seconds of the processor and megabytes, over what is loaded anyway."""

import resource
import time
from collections.abc import Callable

import pytest

from mmdiff.loading.json_file import CheckpointError


def refused_at_once(load: Callable[[], object], message: str) -> None:
    """`load` raises CheckpointError with `message` on one line, in 2 s and 300 MB."""
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    with pytest.raises(CheckpointError, match=message) as caught:
        load()
    assert time.process_time() - began <= 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory <= 300_000
    assert str(caught.value).isprintable() and len(str(caught.value)) <= 1300
