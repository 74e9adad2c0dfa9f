"""CallConditions: what is given to the clips of one call, and what follows for their shape."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mmdiff.conditioning.condition import Condition, Encode, composed
from mmdiff.conditioning.extend import Extend
from mmdiff.pipelines.checks import legal_modalities
from mmdiff.values.latent_state import LatentState
from mmdiff.values.latents import MODALITIES, ClipLatents, Modality
from mmdiff.values.shapes import LatentGrid

Conditions = Sequence[Condition] | Sequence[Sequence[Condition]]


@dataclass(frozen=True)
class CallConditions:
    """The conditions of a call: one list for all clips, or one for each.

    lists        one, or one for each clip
    is_per_clip  whether there is one for each clip
    """

    lists: tuple[tuple[Condition, ...], ...] = ((),)
    is_per_clip: bool = False

    @classmethod
    def of(cls, conditions: Any) -> "CallConditions":
        """From what a user gave; TypeError for what is no list of conditions."""
        if conditions is None:
            return cls()
        if isinstance(conditions, Condition):
            kind = type(conditions).__name__
            raise TypeError(f"conditions is a {kind}; it must be a list: conditions=[{kind}(...)]")
        if isinstance(conditions, str) or not isinstance(conditions, Sequence):
            raise TypeError(
                f"conditions is a {type(conditions).__name__}; it must be a list of conditions, "
                "such as [mmdiff.FirstFrame(image)], or such a list for each clip"
            )
        is_per_clip = any(_is_list(item) for item in conditions)
        lists = tuple(conditions) if is_per_clip else (tuple(conditions),)
        for index, one in enumerate(lists):
            _check_list(one, f"conditions[{index}]" if is_per_clip else "conditions")
        return cls(tuple(tuple(one) for one in lists), is_per_clip)

    @property
    def each(self) -> list[Condition]:
        """Every condition once."""
        return [condition for one in self.lists for condition in one]

    @property
    def is_extension(self) -> bool:
        return any(isinstance(condition, Extend) for condition in self.each)

    def of_clips(self, batch_size: int) -> list[tuple[Condition, ...]]:
        """The conditions of each clip; ValueError unless there are as many lists as clips."""
        if not self.is_per_clip:
            return [self.lists[0]] * batch_size
        if len(self.lists) != batch_size:
            raise ValueError(
                f"conditions has {len(self.lists)} lists for {batch_size} clips; give one list for "
                "each clip, or a single list of conditions for all of them"
            )
        return list(self.lists)

    def num_frames(self, asked: int | None, *, default: int, grid: LatentGrid) -> int:
        """Frames that the model makes at a time: those asked for; or as many as a given picture
        has; or as the given sound lasts; or the default.

        Raises ValueError where two conditions have different lengths.
        """
        if self.is_extension:
            self._check_extension(asked, default=default, grid=grid)
            return default
        if asked is not None:
            return asked
        by_picture = [one.picture_frames(grid) for one in self.each]
        by_sound = [one.sound_frames(grid) for one in self.each]
        return self._agreed(by_picture) or self._agreed(by_sound) or default

    def modalities(self, asked: Any, *, num_frames: int, grid: LatentGrid) -> tuple[Modality, ...]:
        """The halves that are made: those asked for; by default both, but what Extend's clip has.

        Raises ValueError where Extend's clip lacks one that was asked for.
        """
        if not self.is_extension:
            return legal_modalities(asked, num_frames=num_frames)
        given = {name for one in self.each for name in one.modalities}
        for extend in self._extends():
            given |= set(extend.halves(grid))
        possible = tuple(name for name in MODALITIES if name in given)
        wanted = possible if asked is None else legal_modalities(asked, num_frames=num_frames)
        missing = [name for name in wanted if name not in possible]
        if missing:
            half = "picture" if missing[0] == "video" else "sound"
            raise ValueError(
                f"modalities is {wanted}, and the clip of Extend has no {half}; make it "
                f"modalities={possible}, or make the {half} in a call before"
            )
        return wanted

    def _extends(self) -> list[Extend]:
        return [one for one in self.each if isinstance(one, Extend)]

    def _check_extension(self, asked: int | None, *, default: int, grid: LatentGrid) -> None:
        for one in self.lists:
            if sum(isinstance(condition, Extend) for condition in one) != 1:
                raise ValueError(
                    "conditions holds Extend for some clips and not, or twice, for others; "
                    "give each clip of the call one, and call the others apart"
                )
        plans = [
            (one.frames_before(grid), one.given_frames(grid), one.frames_after(grid))
            for one in self._extends()
        ]
        if len(set(plans)) > 1:
            raise ValueError(
                f"conditions makes clips of {sorted({sum(plan) for plan in plans})} frames by "
                "Extend; all clips of a call are extended alike: call them apart"
            )
        total = sum(plans[0])
        if asked is not None and asked != total:
            raise ValueError(
                f"num_frames is {asked}, and Extend makes {total} of {plans[0][1]} given ones; "
                f"leave num_frames out, or make it {total}"
            )
        if plans[0][0] + plans[0][2] == 0:
            frame = float(1 / grid.frame_rate)
            raise ValueError(
                "before_seconds and after_seconds of Extend are less than half a frame; a frame "
                f"lasts {frame:g} s: after_seconds={frame:g}"
            )
        if default <= grid.time_compression:
            raise ValueError(
                f"this model makes {default} frame at a time and cannot extend a clip: load one "
                "whose default_num_frames is larger"
            )

    def _agreed(self, lengths: Sequence[int | None]) -> int | None:
        named = {
            length: type(one).__name__
            for one, length in zip(self.each, lengths, strict=True)
            if length is not None
        }
        if len(named) > 1:
            listed = ", ".join(f"{named[length]} {length}" for length in sorted(named))
            raise ValueError(
                f"num_frames is not given, and the conditions have different lengths ({listed}); "
                f"give num_frames, at most {min(named)}"
            )
        return next(iter(named), None)


def given_state(
    noise: ClipLatents, rows: Sequence[Sequence[Condition]], encode: Encode
) -> LatentState:
    """The start of sampling: `noise`, and what the conditions of each clip give."""
    if not any(rows):
        return LatentState(noise)
    if all(row is rows[0] for row in rows):
        return composed(rows[0], LatentState(noise), encode)
    states = [
        composed(row, LatentState(noise[index : index + 1]), encode)
        for index, row in enumerate(rows)
    ]
    return LatentState.cat(states)


def restored(
    media: ClipLatents, rows: Sequence[Sequence[Condition]], encode: Encode
) -> ClipLatents:
    """`media` with the pixels and samples that are to come back exactly."""
    if not any(rows):
        return media
    clips = []
    for index, row in enumerate(rows):
        clip = media[index : index + 1]
        for condition in row:
            clip = condition.restore(clip, encode)
        clips.append(clip)
    return ClipLatents.cat(clips)


def _is_list(item: object) -> bool:
    return isinstance(item, Sequence) and not isinstance(item, str)


def _check_list(conditions: object, name: str) -> None:
    if not _is_list(conditions):
        raise TypeError(
            f"{name} is a {type(conditions).__name__} beside lists; give each clip a list of "
            "conditions (it may be empty), or all clips one"
        )
    for index, one in enumerate(conditions):  # type: ignore[arg-type, var-annotated]
        if not isinstance(one, Condition):
            raise TypeError(
                f"{name}[{index}] is a {type(one).__name__}; it must be a condition, such as "
                "mmdiff.FirstFrame(image)"
            )
