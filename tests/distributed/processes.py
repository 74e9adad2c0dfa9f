"""Several ranks in forked processes, in a fraction of a second, that cannot hang a test."""

import os
import socket
import time
import traceback
from collections.abc import Callable
from multiprocessing import get_context
from queue import Empty
from typing import Any

import torch
import torch._dynamo  # imported here so that forked children need not
import torch.distributed as dist


def run_ranks(
    function: Callable[[], Any], num_ranks: int, *, timeout_seconds: float = 60
) -> list[Any]:
    """`function()` in each of `num_ranks` processes joined by gloo; its results by rank, or the
    first error."""
    context = get_context("fork")
    queue, port = context.Queue(), free_port()
    children = [
        context.Process(target=_child, args=(function, rank, num_ranks, port, queue))
        for rank in range(num_ranks)
    ]
    for child in children:
        child.start()
    try:
        return _collect(children, queue, deadline=time.monotonic() + timeout_seconds)
    finally:
        for child in children:
            child.kill()
            child.join()


def _collect(children: list[Any], queue: Any, *, deadline: float) -> list[Any]:
    results: dict[int, Any] = {}
    while len(results) < len(children):
        try:
            rank, is_good, value = queue.get(timeout=0.1)
        except Empty:
            codes = [child.exitcode for child in children]
            if any(code not in (None, 0) for code in codes):
                raise RuntimeError(f"a rank died; exit codes {codes}") from None
            if time.monotonic() > deadline:
                raise TimeoutError(f"ranks still run; exit codes {codes}") from None
            continue
        if not is_good:
            raise RuntimeError(f"rank {rank}:\n{value}")
        results[rank] = value
    return [results[rank] for rank in range(len(children))]


def _child(function: Callable[[], Any], rank: int, num_ranks: int, port: int, queue: Any) -> None:
    torch.set_num_threads(1)  # a forked child that uses OpenMP hangs without this
    os.environ |= rank_environment(rank, num_ranks, port)
    try:
        queue.put((rank, True, function()))
    except Exception:  # noqa: BLE001 - whatever it is belongs to the test that waits for it
        queue.put((rank, False, traceback.format_exc()))
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def rank_environment(rank: int, num_ranks: int, port: int) -> dict[str, str]:
    """What torchrun would set for a rank on this machine."""
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(num_ranks),
        "LOCAL_WORLD_SIZE": str(num_ranks),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_RUN_ID": "test",
        "GROUP_RANK": "0",
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
