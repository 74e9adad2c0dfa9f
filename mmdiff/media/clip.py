"""Clip: footage that is read from files, written to them and shown."""

from os import PathLike
from typing import TYPE_CHECKING

from mmdiff.media.footage import Footage

if TYPE_CHECKING:
    from PIL import Image

# The libraries of media are imported where they are used: `import mmdiff` stays fast.


class Clip(Footage):
    """A short clip; frames or sound may be absent, not both. A still image is a clip of one frame.

    Its parts are those of `Footage`: frames, fps, waveform, sample_rate, channel_layout, notes.
    """

    @classmethod
    def of(cls, footage: Footage) -> "Clip":
        """The same parts, which were checked when the footage was made."""
        clip = cls.__new__(cls)
        vars(clip).update(vars(footage))
        return clip

    @classmethod
    def load(cls, path: str | PathLike[str]) -> "Clip":
        """Read a media file. Raises FileNotFoundError, IsADirectoryError or PermissionError, and
        ValueError naming a file that is damaged, truncated, too large for memory or no media."""
        from mmdiff.media.decoder import read_file

        return cls.of(read_file(path))

    @classmethod
    def of_image(cls, image: "Image.Image") -> "Clip":
        """A PIL image as a clip of one frame, an animation as one of all its frames.

        Raises ValueError for an image that is too large or of numbers that are not read.
        """
        from mmdiff.media.limits import Limits
        from mmdiff.media.still import footage_of_image

        return cls.of(footage_of_image(image, "the image", limits=Limits()))

    def save(self, path: str | PathLike[str], overwrite: bool = True) -> None:
        """Write the clip whole or not at all: .mp4, .mov, .webm (frames and sound), .wav, .gif,
        .png and .jpg (a strip of all frames).

        Raises ValueError for an unknown suffix or a clip that the format cannot hold, OSError for a
        path that cannot be written.
        """
        from mmdiff.media.writer import write_clip

        write_clip(self, path, overwrite=overwrite)

    def frame(self, index: int) -> "Image.Image":
        """One frame as a PIL image; -1 is the last.

        Raises IndexError where there is none.
        """
        if self.frames is None or not -self.num_frames <= index < self.num_frames:
            possible = f"0 to {self.num_frames - 1}" if self.num_frames else "none: no frames"
            raise IndexError(f"frame {index} of {self!r}; possible is {possible}")
        from PIL import Image

        return Image.fromarray(self.frames[index].cpu().numpy())

    def storyboard(self, caption: str = "") -> "Image.Image":
        """Frames, waveform and spectrogram on one time axis, as a PIL image."""
        from PIL import Image

        from mmdiff.media.storyboard import storyboard

        return Image.fromarray(storyboard(self, caption=caption).numpy())

    def _repr_html_(self) -> str:
        """The clip in a notebook: it plays, with sound."""
        from mmdiff.media.notebook import footage_html

        return footage_html(self)
