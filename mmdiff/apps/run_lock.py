"""One training in one folder: the second is told at once, not at its first save."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmdiff.values.usage_error import UsageError

NAME = ".lock"
TAKEN = (errno.EACCES, errno.EAGAIN)


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Hold `folder` until the block or this process ends, however it ends; forked workers do not
    hold it.

    Raises UsageError where another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / NAME).open("a+", encoding="ascii") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in TAKEN:
                raise
            file.seek(0)
            raise UsageError(
                f"output_dir={folder} is being trained in by process {file.read().strip() or '?'}",
                key="output_dir",
                got=f"output_dir={folder}",
                cure="another output_dir; or wait until that one has ended",
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
