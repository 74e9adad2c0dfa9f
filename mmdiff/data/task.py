"""Tasks: what of a clip is given, what is generated, and what is not there at all.

A task is drawn anew for each sample: `draw` holds uniform numbers in [0, 1) that decide its
lengths and places.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mmdiff.values import masks
from mmdiff.values.latents import MODALITIES, Modality
from mmdiff.values.masks import frames_at, prefix_frames, span, suffix_frames

NUM_DRAWS = 8
SOUND_IS_GIVEN_TOO = 0.25
"""How often a task on the picture alone comes with its sound: conditions compose."""


@dataclass(frozen=True)
class ClipSize:
    """Latent frames, rows and columns of the picture, latent frames of the sound."""

    frames: int
    height: int
    width: int
    audio_frames: int

    @property
    def audio_per_frame(self) -> int:
        return self.audio_frames // self.frames


@dataclass(frozen=True)
class Task:
    """What a sample is trained on. Masks are those of `LatentState`, of one clip.

    modalities     those that are there
    is_still       only the first latent frame of the picture is there
    without_view   picture and sound do not see each other
    without_time   nothing is carried from latent frame to latent frame
    halves         those that a clip must have for this task; without another one it is the same
                   task on what there is
    """

    video: Tensor | None = None
    audio: Tensor | None = None
    modalities: tuple[Modality, ...] = MODALITIES
    is_still: bool = False
    without_view: bool = False
    without_time: bool = False
    halves: tuple[Modality, ...] = ()

    def within(self, halves: Collection[Modality]) -> "Task":
        """The task on a clip that has only `halves`."""
        if set(self.modalities) <= set(halves):
            return self
        return replace(
            self,
            modalities=tuple(name for name in self.modalities if name in halves),
            video=self.video if "video" in halves else None,
            audio=self.audio if "audio" in halves else None,
        )

    @property
    def is_uniform(self) -> bool:
        """Whether all tokens of each half are alike: then one noise level does for all of them."""
        return all(mask is None or mask.numel() == 1 for mask in (self.video, self.audio))


Draw = Callable[[ClipSize, Sequence[float]], Task]


def joint(size: ClipSize, draw: Sequence[float]) -> Task:
    """Picture and sound from the text alone."""
    return Task()


def apart(size: ClipSize, draw: Sequence[float]) -> Task:
    """Picture only and sound only, both at once: neither sees the other."""
    return Task(without_view=True, halves=MODALITIES)


def frames_apart(size: ClipSize, draw: Sequence[float]) -> Task:
    """Every latent frame by itself: the weaker prediction of frame-consistency guidance."""
    return Task(without_time=True)


def picture_only(size: ClipSize, draw: Sequence[float]) -> Task:
    """The picture of a clip without sound."""
    return Task(modalities=("video",), halves=("video",))


def sound_only(size: ClipSize, draw: Sequence[float]) -> Task:
    """The sound of a clip without picture."""
    return Task(modalities=("audio",), halves=("audio",))


def still_image(size: ClipSize, draw: Sequence[float]) -> Task:
    """The first frame of the picture as a clip of one frame."""
    return Task(modalities=("video",), is_still=True, halves=("video",))


def first_frame(size: ClipSize, draw: Sequence[float]) -> Task:
    return Task(frames_at(size.frames, [0]), _maybe_given(draw), halves=("video",))


def first_and_last_frame(size: ClipSize, draw: Sequence[float]) -> Task:
    """The first latent frame exactly, the last as firmly as drawn: an image says where things are
    in it, and little of the frames beside it that share its latent frame."""
    last = _firmness(draw[1]) * frames_at(size.frames, [-1])
    given = torch.maximum(frames_at(size.frames, [0]), last)
    return Task(given, _maybe_given(draw), halves=("video",))


def keyframes(size: ClipSize, draw: Sequence[float]) -> Task:
    """One to three latent frames anywhere, as firmly as drawn."""
    count = 1 + int(draw[2] * 3)
    indices = {int(number * size.frames) for number in draw[3 : 3 + count]}
    given = _firmness(draw[1]) * frames_at(size.frames, sorted(indices))
    return Task(given, _maybe_given(draw), halves=("video",))


def prefix(size: ClipSize, draw: Sequence[float]) -> Task:
    """The beginning of picture and sound; the sound a little shorter, since its autoencoder looks
    ahead."""
    count = 1 + int(draw[1] * (size.frames - 1))
    sound = max(0, count * size.audio_per_frame - int(draw[2] * 3))
    return Task(prefix_frames(size.frames, count), span(size.audio_frames, 0, sound))


def suffix(size: ClipSize, draw: Sequence[float]) -> Task:
    """The end of picture and sound."""
    count = 1 + int(draw[1] * (size.frames - 1))
    sound = max(0, count * size.audio_per_frame - int(draw[2] * 3))
    first = size.audio_frames - sound
    return Task(
        suffix_frames(size.frames, count), span(size.audio_frames, first, size.audio_frames)
    )


def spatial_box(size: ClipSize, draw: Sequence[float]) -> Task:
    """A box of the picture to fill in, or all but a box; the sound given in half of the cases."""
    height, width = (
        2 + int(draw[i] * (side - 2)) for i, side in ((1, size.height), (2, size.width))
    )
    top, left = int(draw[3] * (size.height - height + 1)), int(draw[4] * (size.width - width + 1))
    inside = masks.box(
        size.height, size.width, top=top, left=left, bottom=top + height, right=left + width
    )
    given = inside if draw[5] < 0.3 else 1 - inside
    return Task(given, masks.whole_audio() if draw[0] < 0.5 else None, halves=("video",))


def time_span_of_sound(size: ClipSize, draw: Sequence[float]) -> Task:
    """A stretch of the sound to fill in; the picture given in half of the cases."""
    length = 1 + int(draw[1] * (size.audio_frames - 1))
    first = int(draw[2] * (size.audio_frames - length + 1))
    given = 1 - span(size.audio_frames, first, first + length)
    return Task(masks.whole_video() if draw[0] < 0.5 else None, given, halves=("audio",))


def picture_to_sound(size: ClipSize, draw: Sequence[float]) -> Task:
    return Task(video=masks.whole_video(), halves=MODALITIES)


def sound_to_picture(size: ClipSize, draw: Sequence[float]) -> Task:
    return Task(audio=masks.whole_audio(), halves=MODALITIES)


TASKS: Mapping[str, Draw] = {
    task.__name__: task
    for task in (
        joint,
        apart,
        frames_apart,
        picture_only,
        sound_only,
        still_image,
        first_frame,
        first_and_last_frame,
        keyframes,
        prefix,
        suffix,
        spatial_box,
        time_span_of_sound,
        picture_to_sound,
        sound_to_picture,
    )
}


def stack_masks(tasks: Sequence[Task], modality: Modality) -> Tensor | None:
    """The masks of several tasks as one batch, b 1 ..., with axes of 1 where all agree along them;
    None if none gives anything of the half."""
    given = [task.video if modality == "video" else task.audio for task in tasks]
    there = [mask for mask in given if mask is not None]
    if not there:
        return None
    common = torch.broadcast_shapes(*(mask.shape for mask in there))
    return torch.cat(
        [torch.zeros(common) if mask is None else mask.expand(common) for mask in given]
    )


def _maybe_given(draw: Sequence[float]) -> Tensor | None:
    return masks.whole_audio() if draw[0] < SOUND_IS_GIVEN_TOO else None


def _firmness(number: float) -> float:
    """1 in a third of the cases, otherwise between 0.2 and 1."""
    return 1.0 if number < 1 / 3 else 0.2 + 0.8 * (number - 1 / 3) * 1.5
