"""Several workers on this machine, which live and die together."""

import logging
import os
import signal
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from torch.distributed.elastic.agent.server.api import RunResult, WorkerSpec
from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException, Std
from torch.distributed.elastic.multiprocessing.errors import ProcessFailure
from torch.distributed.elastic.rendezvous import RendezvousParameters
from torch.distributed.elastic.rendezvous.registry import get_rendezvous_handler

STOPPED = (128 + signal.SIGTERM, 128 + signal.SIGINT)
"""The exit codes of a worker that was asked to stop, and has saved."""

_torch_log = logging.getLogger("torch.distributed.elastic.multiprocessing.api")
_FORWARDED = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
_ENDING = "SIGHUP,SIGQUIT"  # torch ends the workers on these, after 30 seconds by force


class WorkerFailed(RuntimeError):  # noqa: N818
    """A worker ended badly, or all were asked to stop; the message says which, and how.
    `exit_code` is fit for `sys.exit`."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def launch(worker: str, resolved: Path, *, num_processes: int) -> None:
    """Run `python -m worker resolved.yaml` in `num_processes` processes and wait for them.

    Output of all ranks goes to `ranks/` beside the configuration, that of rank 0 to the terminal
    too. If one dies, all do. SIGTERM, SIGUSR1 and SIGINT are handed on to the workers, which may
    take what time they need to save. Raises WorkerFailed.
    """
    logs = DefaultLogsSpecs(
        log_dir=str(resolved.parent / "ranks"),
        tee=dict.fromkeys(range(num_processes), Std.ALL),
        local_ranks_filter={0},
    )
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
    _torch_log.setLevel(logging.CRITICAL)  # who failed, and how, is told by WorkerFailed
    os.environ["TORCHELASTIC_SIGNALS_TO_HANDLE"] = _ENDING
    agent = LocalElasticAgent(spec, logs_specs=logs)
    try:
        with _handed_on(agent) as asked:
            _judge(agent.run(), asked, resolved.parent / "ranks")
    except SignalException as error:
        raise WorkerFailed(f"ended by {error.sigval.name}", 128 + error.sigval) from error
    finally:
        rendezvous.shutdown()


def _judge(result: RunResult, asked: list[signal.Signals], logs: Path) -> None:
    """Raise WorkerFailed unless all workers did their work."""
    if not result.is_failed():
        return
    rank, failure = min(result.failures.items(), key=lambda item: item[1].timestamp)
    if failure.exitcode in STOPPED:
        by = f"by {asked[0].name}" if asked else "by a signal to one of its ranks"
        raise WorkerFailed(
            f"stopped {by}, after a checkpoint; start again with the same output_dir to go on",
            failure.exitcode,
        )
    if asked and -failure.exitcode in asked:
        raise WorkerFailed(
            f"stopped by {asked[0].name} before training had begun: nothing was saved",
            128 - failure.exitcode if asked[0] == signal.SIGINT else STOPPED[0],
        )
    cause = failure.signal_name() if failure.exitcode < 0 else f"exit code {failure.exitcode}"
    code = failure.exitcode if failure.exitcode > 0 else 128 - failure.exitcode
    where = f"rank {rank} failed first ({cause}); what each rank wrote is in {logs}"
    said = _recorded(failure)
    raise WorkerFailed(f"{said}\n  {where}" if said else where, code)


def _recorded(failure: ProcessFailure) -> str:
    """The error that a worker ended with, in its own words; empty where it could not leave any."""
    message = failure.error_file_data.get("message")
    if not isinstance(message, dict):
        return ""
    kind, _, text = str(message.get("message")).partition(": ")
    return text.strip() or kind


@contextmanager
def _handed_on(agent: LocalElasticAgent) -> Iterator[list[signal.Signals]]:
    """Hands signals on to the workers of `agent`, and gives a list of those that came."""
    came: list[signal.Signals] = []

    def hand_on(number: int, frame: FrameType | None) -> None:
        came.append(signal.Signals(number))
        code = STOPPED[number == signal.SIGINT]
        workers = [worker.id for worker in agent.get_worker_group().workers]
        if not all(workers):
            raise WorkerFailed(f"stopped by {came[0].name} before its workers ran", code)
        for worker in workers:
            _send(worker, number)

    before: dict[int, Any] = {number: signal.signal(number, hand_on) for number in _FORWARDED}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _send(process: int, number: int) -> None:
    try:
        os.kill(process, number)
    except ProcessLookupError:
        return  # ended meanwhile
