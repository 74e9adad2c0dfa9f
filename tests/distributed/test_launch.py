"""Workers live and die together, and the first to fail is named."""

import os
import signal
import threading
import time
from collections.abc import Callable
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
        "if rank == '1' and order == 'kill': os.kill(os.getpid(), 9)\n"
        "if rank == '1' and order == 'raise':\n"
        "    from torch.distributed.elastic.multiprocessing.errors import record\n"
        "    @record\n"
        "    def main(): raise ValueError('a bad value: 4')\n"
        "    main()\n"
        "pathlib.Path(sys.argv[1]).with_name(f'done{rank}').touch()\n"
        "if order == 'save':\n"
        "    import signal, time\n"
        "    def stop(number, frame): time.sleep(1); sys.exit(130 if number == 2 else 143)\n"
        "    for number in (2, signal.SIGTERM, signal.SIGUSR1): signal.signal(number, stop)\n"
        "    pathlib.Path(sys.argv[1]).with_name(f'ready{rank}').write_text(str(os.getpid()))\n"
        "if order != 'good':\n"
        "    import time; time.sleep(60)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path / "resolved.yaml"


def test_all_ranks_run(resolved: Path) -> None:
    resolved.write_text("good")
    launch("worker_of_a_test", resolved, num_processes=2)
    assert {path.name for path in resolved.parent.glob("done*")} == {"done0", "done1"}


def test_p1_the_first_to_fail_is_named(resolved: Path) -> None:
    resolved.write_text("kill")
    with pytest.raises(WorkerFailed, match=r"rank 1 failed first.*SIGKILL") as failure:
        launch("worker_of_a_test", resolved, num_processes=2)
    assert failure.value.exit_code == 137


def test_the_error_of_a_rank_comes_first_and_in_its_own_words(resolved: Path) -> None:
    resolved.write_text("raise")
    with pytest.raises(WorkerFailed) as failure:
        launch("worker_of_a_test", resolved, num_processes=2)
    first, second = str(failure.value).splitlines()
    assert first == "a bad value: 4"
    assert second.strip().startswith("rank 1 failed first (exit code 1)")
    assert str(resolved.parent / "ranks") in second


def _launched(resolved: Path, names: str, action: Callable[[], None]) -> WorkerFailed:
    """What two workers end with, after `action` once both have written such files."""

    def act() -> None:
        while len(list(resolved.parent.glob(names))) < 2:
            time.sleep(0.02)
        time.sleep(0.1)
        action()

    thread = threading.Thread(target=act)
    thread.start()
    with pytest.raises(WorkerFailed) as failure:
        launch("worker_of_a_test", resolved, num_processes=2)
    thread.join()
    return failure.value


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGINT])
def test_c9_a_signal_to_the_launcher_is_forwarded(resolved: Path, number: signal.Signals) -> None:
    resolved.write_text("save")
    before = signal.getsignal(number)
    failure = _launched(resolved, "ready*", lambda: os.kill(os.getpid(), number))
    assert failure.exit_code == (130 if number == signal.SIGINT else 143)
    assert str(failure).startswith(f"stopped by {number.name}, after a checkpoint")
    assert len(str(failure).splitlines()) == 1
    assert signal.getsignal(number) == before


def test_c9_a_signal_to_one_rank_is_reported(resolved: Path) -> None:
    """The other one would be asked by it; here the launcher does."""
    resolved.write_text("save")

    def stop() -> None:
        os.kill(int((resolved.parent / "ready1").read_text()), signal.SIGTERM)

    failure = _launched(resolved, "ready*", stop)
    assert failure.exit_code == 143
    assert "stopped by a signal to one of its ranks, after a checkpoint" in str(failure)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_c9_workers_that_do_not_train_yet_have_nothing_to_save(
    resolved: Path, number: signal.Signals
) -> None:
    resolved.write_text("sleep")
    failure = _launched(resolved, "done*", lambda: os.kill(os.getpid(), number))
    assert failure.exit_code == (130 if number == signal.SIGINT else 143)
    assert "nothing was saved" in str(failure)
