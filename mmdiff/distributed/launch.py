"""Several workers on this machine, which live and die together."""

import sys
import uuid
from pathlib import Path

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, Std
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch


class WorkerFailed(RuntimeError):  # noqa: N818
    """A worker ended badly; the message names the first rank that did, and how. `exit_code` is fit
    for `sys.exit`."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def launch(worker: str, resolved: Path, *, num_processes: int) -> None:
    """Run `python -m worker resolved.yaml` in `num_processes` processes and wait for them.

    Output of all ranks goes to `ranks/` beside the configuration, that of rank 0 to the terminal
    too. If one dies, all do. Raises WorkerFailed.
    """
    logs = DefaultLogsSpecs(
        log_dir=str(resolved.parent / "ranks"),
        tee=dict.fromkeys(range(num_processes), Std.ALL),
        local_ranks_filter={0},
    )
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=num_processes,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="127.0.0.1:0",
        rdzv_configs={"is_host": True, "timeout": 60},
        max_restarts=0,
        monitor_interval=0.2,
        logs_specs=logs,
    )
    try:
        elastic_launch(config, sys.executable)("-u", "-m", worker, str(resolved))
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        cause = failure.signal_name() if failure.exitcode < 0 else f"exit code {failure.exitcode}"
        code = failure.exitcode if failure.exitcode > 0 else 128 - failure.exitcode
        raise WorkerFailed(
            f"rank {rank} failed first ({cause}): {failure.message}", code
        ) from error
