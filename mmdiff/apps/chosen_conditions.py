"""The conditions of a command line: `condition=`, `conditions=`, and the short forms."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmdiff.conditioning.condition import Condition
from mmdiff.conditioning.first_frame import FirstFrame
from mmdiff.conditioning.given_audio import GivenAudio
from mmdiff.conditioning.given_video import GivenVideo
from mmdiff.values.usage_error import UsageError

# a key that names a file -> the condition that it is the short form of
FILES = {"image": FirstFrame, "video": GivenVideo, "audio": GivenAudio}


def chosen_conditions(
    condition: Any, conditions: Sequence[Any] | None, files: Mapping[str, str | None]
) -> list[Condition]:
    """All conditions that were asked for; they compose.

    condition: of the group. conditions: further ones. files: by the names of `FILES`.

    Raises UsageError for what is no condition, or a file that is not there; ValueError for one that
    is damaged.
    """
    named = {} if condition is None else {"condition": condition}
    named |= {f"conditions[{index}]": one for index, one in enumerate(conditions or ())}
    for name, one in named.items():
        if not isinstance(one, Condition):
            raise UsageError(
                f"{name} is {one!r}; it must be a condition",
                hint="condition=first_frame condition.image=cat.png, or "
                "conditions=[{_target_: mmdiff.FirstFrame, image: cat.png}]",
            )
    chosen: list[Condition] = list(named.values())
    for name, file in files.items():
        if file is not None:
            try:
                chosen.append(FILES[name](file))
            except FileNotFoundError as error:
                raise UsageError(f"{name}={file}: {error}") from error
    for one in chosen:
        one.read()
    return chosen


def is_whole_modality_given(conditions: Sequence[Condition]) -> bool:
    """Whether a whole video or audio is given, which says what to make without a prompt."""
    return any(isinstance(one, (GivenVideo, GivenAudio)) for one in conditions)


def noted(conditions: Sequence[Condition]) -> str:
    """One line for a storyboard: `FirstFrame cat.png, GivenAudio track.wav`."""
    return ", ".join(map(_note, conditions))


def _note(condition: Condition) -> str:
    settings = condition.settings()
    held = settings.get("image") or settings.get("clip") or settings.get("images")
    name = held.replace("\\", "/").rsplit("/", 1)[-1] if isinstance(held, str) else ""
    if isinstance(held, Mapping):
        name = "at " + ", ".join(f"{seconds} s" for seconds in held)
    return f"{settings['condition']} {name}".strip()
