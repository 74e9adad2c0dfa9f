"""What the disk says by the number of an error, and what is worth another try."""

import errno
import re
import time
from collections.abc import Callable
from typing import TypeVar

from safetensors import SafetensorError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # there, and only there, room helps
STALE_PAUSES = (0.1, 0.5, 2.0)  # seconds
T = TypeVar("T")


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
