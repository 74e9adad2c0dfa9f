"""A loader's worker outlives what asks its run to stop, and nothing else."""

import os
import signal
import threading
from multiprocessing import parent_process

_OTHERS = (signal.SIGINT, signal.SIGUSR1)


def heed_only_the_loader(worker: int) -> None:
    """For `worker_init_fn`: SIGTERM ends this worker only if it comes from the process of its
    loader; SIGINT and SIGUSR1 are ignored. When that process dies, so does the worker.

    scancel, systemd and timeout send to every process of a job. A worker that followed would take
    the run down before it could save.
    """
    for number in _OTHERS:
        signal.signal(number, signal.SIG_IGN)
    parent = parent_process()
    if parent is None or parent.pid is None or not hasattr(signal, "sigtimedwait"):
        return  # macOS cannot tell who sent a signal: there it goes on ending the worker
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    watch = threading.Thread(target=_watch, args=(parent.pid,), name="signals", daemon=True)
    watch.start()


def _watch(loader: int) -> None:
    """A thread of its own, so that a worker that hangs can be ended too."""
    while True:
        told = signal.sigtimedwait({signal.SIGTERM}, 1.0)
        if os.getppid() != loader or (told is not None and told.si_pid == loader):
            os._exit(0)
