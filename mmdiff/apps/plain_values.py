"""Values that no key means, whatever it is called: no numbers, too large ones, and empty texts.

An empty path is the folder that a command happens to run in, and `${output_dir}/checkpoints` of it
is a folder at the root of the file system.
"""

import math
from collections.abc import Mapping

from mmdiff.apps.key_kinds import TEXT_KEYS
from mmdiff.values.usage_error import UsageError, shortened

MOST = 2**63 - 1  # what an index of torch, and a count of Python's range, can be


def check_values(value: object, key: str = "", *, is_ours: bool = True) -> None:
    """Raise UsageError for NaN, infinity, a whole number that no machine word holds, and an empty
    text where no free text is asked for.

    is_ours: False inside of components of other libraries, where an empty text may mean something.
    """
    if isinstance(value, Mapping):
        is_ours = str(value.get("_target_", "mmdiff.")).startswith("mmdiff.")
        for name in in_order(value):
            check_values(value[name], f"{key}.{name}" if key else str(name), is_ours=is_ours)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            check_values(item, f"{key}[{index}]", is_ours=False)
    elif isinstance(value, float) and not math.isfinite(value):
        raise UsageError(
            f"{key} is {value}; possible is a finite number",
            key=key.split("[")[0],
            got=f"{key}={value}",
        )
    elif isinstance(value, int) and abs(value) > MOST:
        raise UsageError(
            f"{key} has {len(str(abs(value)))} digits; possible is up to {MOST}",
            key=key.split("[")[0],
            got=f"{key}={shortened(str(value), 60)}",
        )
    elif isinstance(value, str) and is_ours and not value.strip() and not _is_text(key):
        raise _empty(key, value)


def in_order(mapping: Mapping[str, object]) -> list[str]:
    """Its keys, `module` last: that is made of other groups, and what is wrong in it is set
    there."""
    return sorted(mapping, key=lambda name: name == "module")


def _is_text(key: str) -> bool:
    return key.rsplit(".", 1)[-1] in TEXT_KEYS


def _empty(key: str, value: str) -> UsageError:
    return UsageError(
        f"{key} is empty",
        key=key,
        got=f"{key}={value!r}",
        cure=f"give {key} a value, or leave it out",
    )
