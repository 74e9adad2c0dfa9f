"""Several workers on this machine, which live and die together."""

import ctypes
import logging
import os
import signal
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from torch.distributed.elastic.agent.server.api import RunResult, WorkerSpec
from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException, Std
from torch.distributed.elastic.rendezvous import RendezvousParameters
from torch.distributed.elastic.rendezvous.registry import get_rendezvous_handler

STOPPED = (128 + signal.SIGTERM, 128 + signal.SIGINT)
"""The exit codes of a worker that was asked to stop, and has saved."""

_FORWARDED = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
_PR_SET_PDEATHSIG = 1  # of prctl(2)


class WorkerFailed(RuntimeError):  # noqa: N818
    """A worker ended badly, or all were asked to stop; the message says which, and how.
    `exit_code` is fit for `sys.exit`."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def launch(worker: str, resolved: Path, *, num_processes: int) -> None:
    """Run `python -m worker resolved.yaml` in `num_processes` processes and wait for them.

    Output of all ranks goes to `ranks/` beside the configuration, that of rank 0 to the terminal
    too. If one dies, all do. SIGTERM, SIGUSR1 and SIGINT are forwarded to the workers, which may
    take what time they need to save. Raises WorkerFailed.
    """
    logs = resolved.parent / "ranks"
    tee = dict.fromkeys(range(num_processes), Std.ALL)
    rendezvous = get_rendezvous_handler(
        RendezvousParameters(
            backend="c10d",
            endpoint="127.0.0.1:0",
            run_id=uuid.uuid4().hex,
            min_nodes=1,
            max_nodes=1,
            is_host=True,
            timeout=60,
        )
    )
    spec = WorkerSpec(
        role="default",
        local_world_size=num_processes,
        entrypoint=sys.executable,
        args=("-u", "-m", worker, str(resolved)),
        rdzv_handler=rendezvous,
        max_restarts=0,
        monitor_interval=0.2,
    )
    # torch logs a failure at length; WorkerFailed says it in two lines
    logging.getLogger("torch.distributed.elastic.multiprocessing.api").setLevel(logging.CRITICAL)
    # on these torch ends the workers, after 30 seconds by force; the others are for us to forward
    os.environ["TORCHELASTIC_SIGNALS_TO_HANDLE"] = "SIGHUP,SIGQUIT"
    agent = LocalElasticAgent(
        spec, logs_specs=DefaultLogsSpecs(log_dir=str(logs), tee=tee, local_ranks_filter={0})
    )
    try:
        with _signals_forwarded(agent) as received:
            result = agent.run()
            if result.is_failed():
                raise _failure(result, received, logs)
    except SignalException as error:
        raise WorkerFailed(f"ended by {error.sigval.name}", 128 + error.sigval) from error
    finally:
        rendezvous.shutdown()


@contextmanager
def _signals_forwarded(agent: LocalElasticAgent) -> Iterator[list[signal.Signals]]:
    """Forwards signals to the workers of `agent`, and gives a list of those that were received."""
    received: list[signal.Signals] = []

    def forward(number: int, frame: FrameType | None) -> None:
        received.append(signal.Signals(number))
        workers = [worker.id for worker in agent.get_worker_group().workers]
        if not all(workers):
            code = STOPPED[number == signal.SIGINT]
            raise WorkerFailed(f"stopped by {received[0].name} before its workers ran", code)
        for worker in workers:
            with suppress(ProcessLookupError):  # one that has ended meanwhile
                os.kill(worker, number)

    before: dict[int, Any] = {number: signal.signal(number, forward) for number in _FORWARDED}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _failure(result: RunResult, received: list[signal.Signals], logs: Path) -> WorkerFailed:
    """What the worker that failed first says of it, or the signal that all were stopped by."""
    rank, failure = min(result.failures.items(), key=lambda item: item[1].timestamp)
    code = failure.exitcode if failure.exitcode > 0 else 128 - failure.exitcode
    if failure.exitcode in STOPPED:
        by = f"by {received[0].name}" if received else "by a signal to one of its ranks"
        message = f"stopped {by}, after a checkpoint; start again with the same output_dir to go on"
        return WorkerFailed(message, code)
    if received and -failure.exitcode in received:
        message = f"stopped by {received[0].name} before training had begun: nothing was saved"
        return WorkerFailed(message, code if received[0] == signal.SIGINT else STOPPED[0])
    cause = failure.signal_name() if failure.exitcode < 0 else f"exit code {failure.exitcode}"
    where = f"rank {rank} failed first ({cause}); what each rank wrote is in {logs}"
    recorded = failure.error_file_data.get("message")  # by torch's @record; none after a kill
    if not isinstance(recorded, dict):
        return WorkerFailed(where, code)
    error_type, _, text = str(recorded.get("message")).partition(": ")
    return WorkerFailed(f"{text.strip() or error_type}\n  {where}", code)


def die_with_parent() -> None:
    """Have this process killed when the launcher that started it dies, even by SIGKILL; Linux only,
    and only if launched.

    Without it, workers of a killed launcher train on, unseen.
    """
    if "LOCAL_RANK" in os.environ and sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
