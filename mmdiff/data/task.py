"""Tasks: what of a clip is given, what is generated, and what is not there at all.

A task is drawn anew for each sample: `draw` holds uniform numbers in [0, 1) that decide its
lengths and where they lie.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mmdiff.values import masks
from mmdiff.values.latents import MODALITIES, ClipLatents, Modality
from mmdiff.values.masks import frames_at, prefix_frames, span, suffix_frames

NUM_DRAWS = 8
SOUND_IS_GIVEN_TOO = 0.25  # how often a task on the picture comes with its sound: they compose


@dataclass(frozen=True)
class ClipSize:
    """Latent frames, rows and columns of the picture, latent frames of the sound."""

    frames: int
    height: int
    width: int
    audio_frames: int

    @classmethod
    def of(cls, latents: ClipLatents) -> "ClipSize":
        frames, height, width = (1, 1, 1) if latents.video is None else latents.video.shape[2:]
        audio_frames = 0 if latents.audio is None else latents.audio.shape[2]
        return cls(frames, height, width, audio_frames)

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
    needs          modalities that a clip must have for this task; without another one it is the
                   same task on what there is
    """

    video: Tensor | None = None
    audio: Tensor | None = None
    modalities: tuple[Modality, ...] = MODALITIES
    is_still: bool = False
    without_view: bool = False
    without_time: bool = False
    needs: tuple[Modality, ...] = ()

    def within(self, modalities: Collection[Modality]) -> "Task":
        """The task on a clip that has only `modalities`."""
        return replace(
            self,
            modalities=tuple(name for name in self.modalities if name in modalities),
            video=self.video if "video" in modalities else None,
            audio=self.audio if "audio" in modalities else None,
        )

    @property
    def is_uniform(self) -> bool:
        """Whether all tokens of each modality are at one time `t`."""
        return all(mask is None or mask.numel() == 1 for mask in (self.video, self.audio))


Draw = Callable[[ClipSize, Sequence[float]], Task]


def joint(size: ClipSize, draw: Sequence[float]) -> Task:
    """Picture and sound from the text alone."""
    return Task()


def apart(size: ClipSize, draw: Sequence[float]) -> Task:
    """Picture only and sound only, both at once: neither sees the other."""
    return Task(without_view=True, needs=MODALITIES)


def frames_apart(size: ClipSize, draw: Sequence[float]) -> Task:
    """Every latent frame by itself: the perturbed prediction of frame-consistency guidance."""
    return Task(without_time=True)


def picture_only(size: ClipSize, draw: Sequence[float]) -> Task:
    """The picture of a clip without sound."""
    return Task(modalities=("video",), needs=("video",))


def sound_only(size: ClipSize, draw: Sequence[float]) -> Task:
    """The sound of a clip without picture."""
    return Task(modalities=("audio",), needs=("audio",))


def still_image(size: ClipSize, draw: Sequence[float]) -> Task:
    """The first frame of the picture as a clip of one frame."""
    return Task(modalities=("video",), is_still=True, needs=("video",))


def first_frame(size: ClipSize, draw: Sequence[float]) -> Task:
    return Task(frames_at(size.frames, [0]), _sometimes_sound(draw), needs=("video",))


def first_and_last_frame(size: ClipSize, draw: Sequence[float]) -> Task:
    """The first latent frame exactly, the last at a drawn strength: an image says where things are
    in it, and little of the other frames that share its latent frame."""
    last = _strength(draw[1]) * frames_at(size.frames, [-1])
    given = torch.maximum(frames_at(size.frames, [0]), last)
    return Task(given, _sometimes_sound(draw), needs=("video",))


def keyframes(size: ClipSize, draw: Sequence[float]) -> Task:
    """One to three latent frames anywhere, at a drawn strength."""
    count = 1 + int(draw[2] * 3)
    indices = {int(number * size.frames) for number in draw[3 : 3 + count]}
    given = _strength(draw[1]) * frames_at(size.frames, sorted(indices))
    return Task(given, _sometimes_sound(draw), needs=("video",))


def prefix(size: ClipSize, draw: Sequence[float]) -> Task:
    """The beginning of picture and sound."""
    count, audio_count = _given_counts(size, draw)
    return Task(prefix_frames(size.frames, count), span(size.audio_frames, 0, audio_count))


def suffix(size: ClipSize, draw: Sequence[float]) -> Task:
    """The end of picture and sound."""
    count, audio_count = _given_counts(size, draw)
    first = size.audio_frames - audio_count
    return Task(
        suffix_frames(size.frames, count), span(size.audio_frames, first, size.audio_frames)
    )


def spatial_box(size: ClipSize, draw: Sequence[float]) -> Task:
    """A box of the picture to fill in, or all but a box; with the sound in every second case."""
    height, width = (
        2 + int(draw[i] * (side - 2)) for i, side in ((1, size.height), (2, size.width))
    )
    top, left = int(draw[3] * (size.height - height + 1)), int(draw[4] * (size.width - width + 1))
    inside = masks.box(
        size.height, size.width, top=top, left=left, bottom=top + height, right=left + width
    )
    given = inside if draw[5] < 0.3 else 1 - inside
    return Task(given, masks.whole_audio() if draw[0] < 0.5 else None, needs=("video",))


def time_span_of_sound(size: ClipSize, draw: Sequence[float]) -> Task:
    """A span of the sound to fill in; with the picture in every second case."""
    length = 1 + int(draw[1] * (size.audio_frames - 1))
    first = int(draw[2] * (size.audio_frames - length + 1))
    given = 1 - span(size.audio_frames, first, first + length)
    return Task(masks.whole_video() if draw[0] < 0.5 else None, given, needs=("audio",))


def picture_to_sound(size: ClipSize, draw: Sequence[float]) -> Task:
    return Task(video=masks.whole_video(), needs=MODALITIES)


def sound_to_picture(size: ClipSize, draw: Sequence[float]) -> Task:
    return Task(audio=masks.whole_audio(), needs=MODALITIES)


TASKS: Mapping[str, Draw] = {
    task.__name__: task
    for task in (
        *(joint, apart, frames_apart, picture_only, sound_only, still_image),
        *(first_frame, first_and_last_frame, keyframes, prefix, suffix, spatial_box),
        *(time_span_of_sound, picture_to_sound, sound_to_picture),
    )
}


def example(name: str, num_frames: int = 9) -> Task:
    """A task as it may be drawn, to ask what it needs."""
    return TASKS[name](ClipSize(num_frames, 8, 8, 4 * num_frames), [0.0] * NUM_DRAWS)


def stack_masks(tasks: Sequence[Task], modality: Modality) -> Tensor | None:
    """The masks of several tasks as one batch, b 1 ..., with axes of 1 where all agree along them;
    None if none gives anything of the modality."""
    given = [task.video if modality == "video" else task.audio for task in tasks]
    there = [mask for mask in given if mask is not None]
    if not there:
        return None
    common = torch.broadcast_shapes(*(mask.shape for mask in there))
    return torch.cat(
        [torch.zeros(common) if mask is None else mask.expand(common) for mask in given]
    )


def _given_counts(size: ClipSize, draw: Sequence[float]) -> tuple[int, int]:
    """Latent frames of picture and of sound, which is a little shorter, since its autoencoder looks
    ahead."""
    count = 1 + int(draw[1] * (size.frames - 1))
    return count, max(0, count * size.audio_per_frame - int(draw[2] * 3))


def _sometimes_sound(draw: Sequence[float]) -> Tensor | None:
    return masks.whole_audio() if draw[0] < SOUND_IS_GIVEN_TOO else None


def _strength(number: float) -> float:
    """1 in a third of the cases, otherwise between 0.2 and 1."""
    return 1.0 if number < 1 / 3 else 0.2 + 0.8 * (number - 1 / 3) * 1.5
