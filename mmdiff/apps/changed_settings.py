"""What differs between two resolved configurations, and what of it makes another model."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# Weights, their meaning or the state of the optimizer depend on these.
_OF_THE_MODEL = (
    *("backbone", "autoencoder", "vocoder", "text", "mel"),
    *("critic._target_", "critic.network", "module._target_", "module.name", "module.inputs"),
    *("module.transformer", "module.text", "module.autoencoder", "module.vocoder"),
    *("module.critic._target_", "module.critic.network"),
    *("optimizer.optimizer._target_", "module.optimizer._target_"),
)
# Says nothing: where a run lies, and how it is started.
_OF_THE_START = ("resume", "ckpt_path", "strict_resume", "output_dir")
_ABSENT = "(absent)"


@dataclass(frozen=True)
class Change:
    """A dotted key with its old and its new value."""

    key: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.key} {self.old} -> {self.new}"


def changed_settings(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """All differences that mean something; a key comes before those that may copy it."""
    before, after = dict(_leaves(old)), dict(_leaves(new))
    changes = [
        Change(key, before.get(key, _ABSENT), after.get(key, _ABSENT))
        for key in sorted({*before, *after}, key=_rank)
        if key not in _OF_THE_START and before.get(key, _ABSENT) != after.get(key, _ABSENT)
    ]
    return [change for change in changes if not _is_place(change, old, new)]


def without_copies(changes: Iterable[Change]) -> list[Change]:
    """One of several changes that are alike: interpolated keys follow the key that they copy."""
    told: dict[tuple[str, str, str], Change] = {}
    for change in changes:
        ending = change.key.rsplit(".", 1)[-1]
        told.setdefault((ending, str(change.old), str(change.new)), change)
    return list(told.values())


def is_of_the_model(key: str) -> bool:
    """Whether a model with another value of `key` is not the one a checkpoint holds. The folder
    that first weights came from is not: a checkpoint brings its own."""
    if key.rsplit(".", 1)[-1] == "folder":
        return False
    return any(
        f"{key}.".startswith(f"{name}.") or name.startswith(f"{key}.") for name in _OF_THE_MODEL
    )


def _rank(key: str) -> tuple[bool, int, str]:
    """A module interpolates the groups, and longer keys the shorter ones."""
    return key.startswith("module."), key.count("."), key


def _is_place(change: Change, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether a value only says in which output_dir something lies."""
    before, after = str(old.get("output_dir")), str(new.get("output_dir"))
    return str(change.old).replace(before, after) == str(change.new) and before in str(change.old)


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(value, Mapping) or not value:
        yield key, list(value) if isinstance(value, tuple) else value
        return
    for name, item in value.items():
        yield from _leaves(item, f"{key}.{name}" if key else str(name))
