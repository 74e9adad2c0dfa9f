"""Workers live and die together, and the first to fail is named."""

from pathlib import Path

import pytest

from mmdiff.distributed.launch import WorkerFailed, launch


@pytest.fixture
def resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "worker_of_a_test.py").write_text(
        "import os, sys, pathlib\n"
        "rank = os.environ['RANK']\n"
        "assert os.environ['WORLD_SIZE'] == '2'\n"
        "order = pathlib.Path(sys.argv[1]).read_text()\n"
        "if rank == '1' and order == 'exit': sys.exit(7)\n"
        "if rank == '1' and order == 'kill': os.kill(os.getpid(), 9)\n"
        "pathlib.Path(sys.argv[1]).with_name(f'done{rank}').touch()\n"
        "if order != 'good':\n"
        "    import time; time.sleep(60)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path / "resolved.yaml"


def test_all_ranks_run(resolved: Path) -> None:
    resolved.write_text("good")
    launch("worker_of_a_test", resolved, num_processes=2)
    assert {path.name for path in resolved.parent.glob("done*")} == {"done0", "done1"}


@pytest.mark.parametrize(
    "order, code, named", [("exit", 7, "exit code 7"), ("kill", 137, "SIGKILL")]
)
def test_p1_the_first_to_fail_is_named(resolved: Path, order: str, code: int, named: str) -> None:
    resolved.write_text(order)
    with pytest.raises(WorkerFailed, match=f"rank 1 failed first.*{named}") as failure:
        launch("worker_of_a_test", resolved, num_processes=2)
    assert failure.value.exit_code == code
