"""The conditions of a call: one list for all clips or one for each, and what follows from them."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from mmdiff.conditioning.condition import Condition, Encode, composed
from mmdiff.conditioning.extend import Extend
from mmdiff.pipelines.checks import legal_modalities
from mmdiff.values.latent_state import LatentState
from mmdiff.values.latents import MODALITIES, ClipLatents, Modality
from mmdiff.values.shapes import LatentGrid

Conditions = Sequence[Condition] | Sequence[Sequence[Condition]]
Rows = Sequence[Sequence[Condition]]


def condition_lists(conditions: Any) -> Rows:
    """What a user gave, as one list for all clips, or one for each; TypeError for anything else."""
    if isinstance(conditions, Condition):
        name = type(conditions).__name__
        raise TypeError(f"conditions is a {name}; it must be a list: conditions=[{name}(...)]")
    if isinstance(conditions, str) or not isinstance(conditions, Sequence):
        raise TypeError(
            f"conditions is a {type(conditions).__name__}; it must be a list of conditions, "
            "such as [mmdiff.FirstFrame(image)], or such a list for each clip"
        )
    is_per_clip = any(isinstance(one, (list, tuple)) for one in conditions)
    lists = list(conditions) if is_per_clip else [conditions]
    for row, one in enumerate(lists):
        name = f"conditions[{row}]" if is_per_clip else "conditions"
        if not isinstance(one, Sequence):
            raise TypeError(
                f"{name} is a {type(one).__name__} beside lists; give each clip a list of "
                "conditions (it may be empty), or all clips one"
            )
        for index, condition in enumerate(one):
            if not isinstance(condition, Condition):
                raise TypeError(
                    f"{name}[{index}] is a {type(condition).__name__}; it must be a condition, "
                    "such as mmdiff.FirstFrame(image)"
                )
    return lists


def extends_in(lists: Rows) -> list[Extend]:
    return [one for row in lists for one in row if isinstance(one, Extend)]


def rows_of(lists: Rows, batch_size: int) -> Rows:
    """The conditions of each clip; ValueError unless there is one list, or as many as clips."""
    if len(lists) not in (1, batch_size):
        raise ValueError(
            f"conditions has {len(lists)} lists for {batch_size} clips; give one list for each "
            "clip, or a single list of conditions for all of them"
        )
    return list(lists) * (batch_size if len(lists) == 1 else 1)


def frames_at_a_time(lists: Rows, num_frames: int | None, default: int, grid: LatentGrid) -> int:
    """Frames that the model makes at a time: those asked for; or as many as the given video has; or
    as the given audio lasts; or the default, which is the window of Extend.

    Raises ValueError where two conditions have different lengths, or Extend another one.
    """
    if extends_in(lists):
        _check_lengths(lists, num_frames, default=default, grid=grid)
        return default
    if num_frames is not None:
        return num_frames
    for measure in ("video_frames", "audio_frames"):
        found = {
            length: type(one).__name__
            for row in lists
            for one in row
            if (length := getattr(one, measure)(grid)) is not None
        }
        if len(found) > 1:
            listed = ", ".join(f"{found[length]} {length}" for length in sorted(found))
            raise ValueError(
                f"num_frames is not given, and the conditions have different lengths ({listed}); "
                f"give num_frames, at most {min(found)}"
            )
        if found:
            return next(iter(found))
    return default


def _check_lengths(lists: Rows, num_frames: int | None, *, default: int, grid: LatentGrid) -> None:
    extends = [[one for one in row if isinstance(one, Extend)] for row in lists]
    if any(len(found) != 1 for found in extends):
        raise ValueError(
            "conditions holds Extend for some clips and not, or twice, for others; "
            "give each clip of the call one, and call the others apart"
        )
    plans = {
        (one.frames_before(grid), one.given_frames(grid), one.frames_after(grid))
        for (one,) in extends
    }
    if len(plans) > 1:
        raise ValueError(
            f"conditions makes clips of {sorted({sum(plan) for plan in plans})} frames by "
            "Extend; all clips of a call are extended alike: call them apart"
        )
    before, given, after = plans.pop()
    total = before + given + after
    if num_frames not in (None, total):
        raise ValueError(
            f"num_frames is {num_frames}, and Extend makes {total} of {given} given ones; "
            f"leave num_frames out, or make it {total}"
        )
    if before + after == 0:
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


def check_extension(output_type: str, latents: Tensor | None, audio_latents: Tensor | None) -> None:
    """Raise ValueError for arguments that have no meaning where a clip is made in windows."""
    if output_type == "latent":
        raise ValueError(
            "output_type is 'latent', and an extended clip is joined as pictures and sound; "
            "it must be 'pil', 'np' or 'pt'"
        )
    for name, given in (("latents", latents), ("audio_latents", audio_latents)):
        if given is not None:
            raise ValueError(
                f"{name} are given, and a clip is extended in several windows, each of which draws "
                "its own noise; leave them out and give a generator"
            )


def extended_modalities(lists: Rows, wanted: Any, grid: LatentGrid) -> tuple[Modality, ...]:
    """What is made of clips that are extended: by default what they have, or other conditions give.

    Raises ValueError where they lack one of those that are `wanted`.
    """
    given = {name for row in lists for one in row for name in one.modalities}
    given |= {name for one in extends_in(lists) for name in one.clip_modalities(grid)}
    possible = tuple(name for name in MODALITIES if name in given)
    if wanted is None:
        return possible
    made = legal_modalities(wanted, num_frames=0)
    for name in made:
        if name not in possible:
            raise ValueError(
                f"modalities is {made}, and the clip of Extend has no {name}; make it "
                f"modalities={possible}, or make the {name} in a call before"
            )
    return made


def conditioned(noise: ClipLatents, rows: Rows, encode: Encode) -> LatentState:
    """The start of sampling: `noise`, and what the conditions of each clip give."""
    if all(row is rows[0] for row in rows):  # encoded once for all of them
        return composed(rows[0], LatentState(noise), encode)
    return LatentState.cat(
        [
            composed(row, LatentState(noise[index : index + 1]), encode)
            for index, row in enumerate(rows)
        ]
    )


def restored(media: ClipLatents, rows: Rows, encode: Encode) -> ClipLatents:
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
