"""Signals between a launcher and its workers."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have this process killed when the launcher that started it dies, even by SIGKILL; Linux only,
    and only if launched.

    Without it, workers of a killed launcher train on, unseen.
    """
    if "LOCAL_RANK" not in os.environ or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
