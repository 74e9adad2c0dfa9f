"""Files that are there whole or not at all, and what the disk says where they cannot be."""

import errno
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from safetensors import SafetensorError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # there, and only there, room helps
STALE_PAUSES = (0.1, 0.5, 2.0)  # seconds
T = TypeVar("T")
UMASK = os.umask(0o077)
os.umask(UMASK)


@contextmanager
def atomic_write(path: str | os.PathLike[str], *, overwrite: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`; write that file, and it becomes `path` at the end.

    The file is flushed to the disk before it is renamed, so a process killed at any moment leaves
    `path` absent, old or complete. If the block raises, the temporary file is removed and `path` is
    untouched. The temporary name is hidden, and keeps the suffix of `path`.

    Raises FileExistsError (with `overwrite=False`), FileNotFoundError for a missing folder,
    IsADirectoryError; OSError in the words of its number for what the disk refuses.
    """
    target = Path(path)
    with _staged([target], overwrite=overwrite) as (temporary,), _refusals_of(target):
        yield temporary


def write_files(files: Mapping[Path, bytes], *, overwrite: bool = True) -> None:
    """Write files that belong together: all of them or none, but for a machine that stops between
    two renames.

    Raises what `atomic_write` does, with the name of the file that could not be written.
    """
    with _staged(list(files), overwrite=overwrite) as temporaries:
        for (target, content), temporary in zip(files.items(), temporaries, strict=True):
            with _refusals_of(target):
                temporary.write_bytes(content)


@contextmanager
def _staged(targets: Sequence[Path], *, overwrite: bool) -> Iterator[list[Path]]:
    for target in targets:
        check_writable(target, overwrite=overwrite)
    temporaries = [
        target.with_name(f".{secrets.token_hex(6)}.partial{target.suffix}") for target in targets
    ]
    with ExitStack() as undone:
        for temporary in temporaries:
            undone.callback(temporary.unlink, missing_ok=True)
        yield temporaries
        for target, temporary in zip(targets, temporaries, strict=True):
            with _refusals_of(target):
                share(temporary)
                past_stale(partial(flush, temporary))
        for target, temporary in zip(targets, temporaries, strict=True):
            is_new = not target.exists()
            with _refusals_of(target):
                past_stale(partial(_publish, temporary, target, overwrite=overwrite))
            if is_new:
                undone.callback(target.unlink)
        undone.pop_all()
    for folder in {target.parent for target in targets}:
        flush(folder)


@contextmanager
def _refusals_of(target: Path) -> Iterator[None]:
    """An OSError of the disk names the file that was asked for, not the temporary one, and the
    reason of its number; other errors are what they are."""
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno is None:
            raise
        reason = os.strerror(error.errno).lower()
        raise OSError(error.errno, f"cannot write {target}: {reason}; no file was left") from error


def share(path: Path) -> None:
    """Give a file, or all below a folder, the mode that the user's mask grants: writers of weights
    leave files that only their owner can read."""
    for file in path.rglob("*") if path.is_dir() else (path,):
        if file.is_file() and not file.is_symlink():
            file.chmod(0o666 & ~UMASK)


@contextmanager
def made_folder(folder: Path) -> Iterator[None]:
    """`folder` with its parents; those that were not there before are taken away again where the
    block raises and left them empty."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    with ExitStack() as undone:
        for one in reversed(missing):
            one.mkdir(exist_ok=True)
            undone.callback(_remove_empty, one)
        yield
        undone.pop_all()


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


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


def flush(path: Path) -> None:
    """Have the disk hold what is written of a file, or which names a folder has."""
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
    temporary.unlink()


def error_number(error: OSError | SafetensorError) -> int | None:
    """The errno of an OSError, or of what safetensors raises in place of one."""
    if isinstance(error, OSError):
        return error.errno
    found = re.search(r"os error (\d+)", str(error))
    return int(found.group(1)) if found else None


def past_stale(action: Callable[[], T]) -> T:
    """What `action` gives; it is tried again where a network file system calls its handle stale,
    which it is no longer once the path has been looked up anew."""
    for pause in STALE_PAUSES:
        try:
            return action()
        except (OSError, SafetensorError) as error:
            if error_number(error) != errno.ESTALE:
                raise
        time.sleep(pause)
    return action()
