"""Condition: something given of a clip, that the rest is made to fit."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from functools import cached_property
from os import PathLike, fspath
from typing import Any

from torch import Tensor

from mmdiff.conditioning.encode import Encode
from mmdiff.media.clip import Clip
from mmdiff.values.latent_state import LatentState
from mmdiff.values.latents import ClipLatents, Modality
from mmdiff.values.shapes import LatentGrid


@dataclass(frozen=True, eq=False)
class Condition(ABC):
    """A frozen value that says which tokens are given, what they are, and how firmly.

    Conditions compose: each adds to what the others give.
    """

    @abstractmethod
    def apply(self, state: LatentState, encode: Encode) -> LatentState:
        """The state in which this is given too.

        Raises ValueError where it does not fit the clip that is made.
        """

    def restore(self, media: ClipLatents, encode: Encode) -> ClipLatents:
        """`media` of one clip with the given pixels and samples put back exactly, where that was
        asked for.

        media  1 3 frames height width and 1 1 samples, both in [-1, 1]
        """
        return media

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """Halves that the clip must have for this to mean anything."""
        return ()

    def picture_frames(self, grid: LatentGrid) -> int | None:
        """How many frames the clip has by the picture that is given; None: it does not say."""
        return None

    def sound_frames(self, grid: LatentGrid) -> int | None:
        """How many frames the clip has by the sound that is given; None: it does not say."""
        return None

    def seen_from(self, seconds: Fraction) -> "Condition":
        """The same in a window of the clip that begins `seconds` into it.

        Raises ValueError where that has no meaning.
        """
        raise ValueError(
            f"{type(self).__name__} cannot go with Extend, which makes a clip window by window; "
            "extend the clip in a call of its own"
        )

    def read(self) -> None:
        """Read the files that are given now, and not when they are first needed.

        Raises ValueError naming a damaged file.
        """
        for name, attribute in vars(type(self)).items():
            if isinstance(attribute, cached_property):  # each holds what was read
                getattr(self, name)

    def settings(self) -> dict[str, Any]:
        """Its name and arguments as plain values, for the record beside a clip."""
        values = {field.name: _plain(getattr(self, field.name)) for field in fields(self)}
        return {"condition": type(self).__name__, **values}


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, PathLike):
        return fspath(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Clip):
        return f"a clip of {value.num_frames} frames and {value.num_samples} samples"
    if isinstance(value, Tensor) or hasattr(value, "shape"):
        return f"an array of {tuple(value.shape)}"
    return f"a {type(value).__name__}"
