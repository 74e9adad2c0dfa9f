"""ClipSource: the clip that a condition holds, at the rates of the model."""

from dataclasses import dataclass, replace

from torch import Tensor

from mmdiff.conditioning import fit, source
from mmdiff.media.clip import Clip
from mmdiff.media.mono import channels_phrase, to_mono, within_full_scale
from mmdiff.media.resample import change_fps, resample_waveform
from mmdiff.values.shapes import ClipShape, LatentGrid


@dataclass(frozen=True, eq=False)
class ClipSource:
    """A clip that was given, read from its file once.

    name         of the argument, for errors and notices
    loaded       see `source.load`
    sample_rate  of a sound that came as an array; None: the model's
    """

    name: str
    loaded: source.Loaded
    sample_rate: int | None = None

    @classmethod
    def of(cls, name: str, value: source.Media, *, sample_rate: int | None = None) -> "ClipSource":
        return cls(name, source.load(name, value), sample_rate)

    def has_picture(self, grid: LatentGrid) -> bool:
        return self.original(grid).frames is not None

    def has_sound(self, grid: LatentGrid) -> bool:
        return self.original(grid).waveform is not None

    def frames(self, grid: LatentGrid) -> Tensor:
        """frames height width 3, uint8, at the model's frame rate; ValueError without picture."""
        clip = self.original(grid)
        if clip.frames is None:
            raise ValueError(f"{self.name} has sound and no picture; give a clip that has one")
        if clip.num_frames > 1 and clip.fps != grid.frame_rate:
            fit.notice(
                f"{self.name} has {float(clip.fps):g} frames a second; it is shown at the model's "
                f"{float(grid.frame_rate):g}"
            )
        silent = replace(clip, waveform=None, sample_rate=None)
        frames = change_fps(silent, grid.frame_rate).frames
        assert frames is not None
        return frames

    def waveform(self, grid: LatentGrid) -> Tensor:
        """1 samples at the model's sample rate; ValueError without sound."""
        clip = self.original(grid)
        if clip.waveform is None or clip.sample_rate is None:
            raise ValueError(f"{self.name} has a picture and no sound; give a clip that has one")
        waveform = clip.waveform
        if clip.sample_rate != grid.sample_rate:
            fit.notice(
                f"{self.name} has {clip.sample_rate} samples a second; it is resampled to the "
                f"model's {grid.sample_rate}"
            )
            waveform = resample_waveform(waveform, clip.sample_rate, grid.sample_rate)
        if len(waveform) == 1:
            return waveform
        mono, peak = within_full_scale(to_mono(waveform, clip.channel_layout))
        what = f"{self.name} has {channels_phrase(waveform, clip.channel_layout)}"
        lower = "" if peak is None else f", turned down from {peak:.3g} of full scale"
        fit.notice(f"{what}; they are mixed into one{lower}")
        return mono

    def fitted_frames(self, shape: ClipShape, grid: LatentGrid) -> Tensor:
        """`frames` of the clip's size and length; ValueError where there are too few."""
        return fit.sized(self.name, fit.timed(self.name, self.frames(grid), shape), shape)

    def picture_frames(self, grid: LatentGrid) -> int:
        """The most frames 1 + 4k that the picture holds."""
        count = len(self.frames(grid))
        return grid.num_frames(1 + (count - 1) // grid.time_compression)

    def sound_frames(self, grid: LatentGrid, *, start_seconds: float = 0.0) -> int:
        """The frames 1 + 4k that last most nearly as long as the sound; at least 5."""
        seconds = start_seconds + self.waveform(grid).shape[1] / grid.sample_rate
        frames = seconds * float(grid.frame_rate)
        return grid.num_frames(1 + max(1, round((frames - 1) / grid.time_compression)))

    def original(self, grid: LatentGrid) -> Clip:
        """The clip as it was given; arrays have the model's rates."""
        return source.clip(self.name, self.loaded, grid=grid, sample_rate=self.sample_rate)
