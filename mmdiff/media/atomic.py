"""Files that are there whole or not at all."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DISK_REFUSED = {
    errno.ENOSPC,
    errno.ENOENT,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EIO,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
}


UMASK = os.umask(0o077)
os.umask(UMASK)


@contextmanager
def atomic_write(path: str | os.PathLike[str], *, overwrite: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`; write that file, and it becomes `path` at the end.

    The file is flushed to the disk before it is renamed, so a process killed at any moment leaves
    `path` absent, old or complete. If the block raises, the temporary file is removed and `path` is
    untouched. The temporary name is hidden, and keeps the suffix of `path`.

    Raises FileExistsError (with `overwrite=False`), FileNotFoundError for a missing folder,
    IsADirectoryError.
    """
    target = Path(path)
    check_writable(target, overwrite=overwrite)
    temporary = target.with_name(f".{secrets.token_hex(6)}.partial{target.suffix}")
    try:
        yield temporary
        share(temporary)
        _flush(temporary)
        _publish(temporary, target, overwrite=overwrite)
    except OSError as error:
        if error.errno not in DISK_REFUSED:
            raise
        reason = os.strerror(error.errno or 0).lower()
        raise OSError(error.errno, f"cannot write {target}: {reason}; no file was left") from error
    finally:
        temporary.unlink(missing_ok=True)
    _flush(target.parent)


def share(path: Path) -> None:
    """Give a file, or all below a folder, the mode that the user's mask grants: writers of weights
    leave files that only their owner can read."""
    for file in path.rglob("*") if path.is_dir() else (path,):
        if file.is_file() and not file.is_symlink():
            file.chmod(0o666 & ~UMASK)


def check_writable(path: str | os.PathLike[str], *, overwrite: bool = True) -> None:
    """Raise the OSError that writing `path` would end in, as far as it can be known before the work
    is done."""
    target = Path(path)
    folder = target.parent
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder; give the path of a file in it")
    if target.exists() and not target.is_file():
        raise OSError(f"{target} is not a regular file and cannot be replaced; give another path")
    if not folder.exists():
        raise FileNotFoundError(
            f"cannot write {target}: there is no folder {folder}; create it first"
        )
    if not folder.is_dir():
        raise NotADirectoryError(f"cannot write {target}: {folder} is not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"cannot write {target}: the folder {folder} is not writable")
    if not overwrite and target.exists():
        raise FileExistsError(f"{target} exists; give another path or overwrite=True")


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _publish(temporary: Path, target: Path, *, overwrite: bool) -> None:
    if overwrite:
        os.replace(temporary, target)
        return
    os.link(temporary, target)  # unlike a rename, fails if somebody else was first
