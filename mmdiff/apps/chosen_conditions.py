"""The conditions of a command line: `condition=`, `conditions=`, and the short forms."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmdiff.apps.compose import built
from mmdiff.conditioning.condition import Condition
from mmdiff.conditioning.first_frame import FirstFrame
from mmdiff.conditioning.given_audio import GivenAudio
from mmdiff.conditioning.given_video import GivenVideo
from mmdiff.values.usage_error import UsageError

Node = Mapping[str, Any]


def chosen_conditions(
    condition: Any = None,
    conditions: Sequence[Any] | None = None,
    *,
    image: str | None = None,
    video: str | None = None,
    audio: str | None = None,
) -> list[Condition]:
    """All conditions that were asked for; they compose.

    condition: of the group.
    conditions: further ones, each a node with a `_target_`.
    image, video, audio: files for `FirstFrame`, `GivenVideo` and `GivenAudio`.

    Raises UsageError for what is no condition, or a file that is not there; ValueError for one that
    is damaged.
    """
    chosen = [] if condition is None else [_checked("condition", condition)]
    for index, one in enumerate(conditions or ()):
        chosen.append(_checked(f"conditions[{index}]", built(one)))
    for name, kind, file in (
        ("image", FirstFrame, image),
        ("video", GivenVideo, video),
        ("audio", GivenAudio, audio),
    ):
        if file is None:
            continue
        try:
            chosen.append(kind(file))
        except FileNotFoundError as error:
            raise UsageError(str(error), key=name, got=f"{name}={file}") from error
    for one in chosen:
        one.read()
    return chosen


def brings_a_half(conditions: Sequence[Condition]) -> bool:
    """Whether a whole picture or sound is given, which says what to make without a prompt."""
    return any(isinstance(one, (GivenVideo, GivenAudio)) for one in conditions)


def noted(conditions: Sequence[Condition]) -> str:
    """One line for a storyboard: `FirstFrame cat.png, GivenAudio track.wav`."""
    return ", ".join(_note(one) for one in conditions)


def _note(condition: Condition) -> str:
    settings = condition.settings()
    held = settings.get("image") or settings.get("clip") or settings.get("images")
    name = held.replace("\\", "/").rsplit("/", 1)[-1] if isinstance(held, str) else ""
    if isinstance(held, Mapping):
        name = "at " + ", ".join(f"{seconds} s" for seconds in held)
    return f"{settings['condition']} {name}".strip()


def _checked(name: str, value: Any) -> Condition:
    if isinstance(value, Condition):
        return value
    raise UsageError(
        f"{name} is {value!r}; it must be a condition",
        key=name.split("[")[0],
        cure="condition=first_frame condition.image=cat.png, or "
        "conditions=[{_target_: mmdiff.FirstFrame, image: cat.png}]",
    )
