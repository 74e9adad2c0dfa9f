"""The alphabet of axes, and all arithmetic between media, latents, slices and seconds.

Axes, everywhere in mmdiff:

    b  batch                 t  audio latent frames      s  slices
    c  channels              m  mel bins (latent rows)   n  tokens of a slice
    f  video latent frames   l  text tokens              d  width
    h  rows   w  columns     k  attention heads

Media space is written in whole words: frames, height, width, samples.

A causal video autoencoder covers one frame with its first latent frame and `time_compression`
frames with every other. So that slices stay regular, the sound starts `time_compression - 1` frames
early with silence, the *pre-roll*.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property


@dataclass(frozen=True)
class ClipShape:
    """The shape of a clip in media space: frames of `height` x `width` pixels,
    and samples of sound beside them."""

    num_frames: int = 33
    height: int = 64
    width: int = 64
    frame_rate: Fraction = Fraction(16)
    sample_rate: int = 16_000

    def __post_init__(self) -> None:
        object.__setattr__(self, "frame_rate", Fraction(self.frame_rate).limit_denominator(1001))
        for name in ("num_frames", "height", "width", "frame_rate", "sample_rate"):
            value = getattr(self, name)
            if value <= 0:
                raise ValueError(f"{name} is {value}; it must be positive")

    @property
    def duration_seconds(self) -> Fraction:
        return self.num_frames / self.frame_rate

    @property
    def num_samples(self) -> int:
        """Samples of sound that last as long as the frames, rounded to the nearest."""
        return round(self.duration_seconds * self.sample_rate)


@dataclass(frozen=True)
class LatentGrid:
    """How media map onto latents: rates and factors that belong to the autoencoders, and what
    follows from them.

    One *slice* is the stretch of time of one video latent frame,
    `time_compression / frame_rate` seconds.
    """

    frame_rate: Fraction = Fraction(16)
    sample_rate: int = 16_000
    time_compression: int = 4
    space_compression: int = 8
    video_channels: int = 16
    hop_length: int = 250
    mel_bins: int = 64
    audio_time_compression: int = 4
    audio_mel_compression: int = 4
    audio_channels: int = 8

    def __post_init__(self) -> None:
        object.__setattr__(self, "frame_rate", Fraction(self.frame_rate).limit_denominator(1001))

    # picture

    def latent_frames(self, num_frames: int) -> int:
        """Video latent frames of `num_frames` frames;
        ValueError unless that is 1 + time_compression * k."""
        factor = self.time_compression
        if num_frames < 1 or (num_frames - 1) % factor:
            lower = max(1, (num_frames - 1) // factor * factor + 1)
            raise ValueError(
                f"num_frames is {num_frames}; this autoencoder takes 1 + {factor}k frames: "
                + (f"{lower} or {lower + factor}" if num_frames > 1 else "1")
            )
        return 1 + (num_frames - 1) // factor

    def num_frames(self, latent_frames: int) -> int:
        return 1 + (latent_frames - 1) * self.time_compression

    def video_shape(self, num_frames: int, height: int, width: int) -> tuple[int, int, int, int]:
        """Shape c f h w of the video latents; ValueError with the nearest legal size."""
        factor = self.space_compression
        for name, value in (("height", height), ("width", width)):
            if value < factor or value % factor:
                nearest = max(factor, round(value / factor) * factor)
                raise ValueError(
                    f"{name} is {value}; it must be a positive multiple of {factor}: {nearest}"
                )
        frames = self.latent_frames(num_frames)
        return self.video_channels, frames, height // factor, width // factor

    def video_seconds(self, latent_frames: int) -> list[Fraction]:
        """Time of the last frame that each video latent frame covers,
        in seconds from the first frame."""
        return [index * self.slice_seconds for index in range(latent_frames)]

    # slices

    @cached_property
    def slice_seconds(self) -> Fraction:
        return self.time_compression / self.frame_rate

    @cached_property
    def audio_latent_rate(self) -> Fraction:
        """Audio latent frames per second."""
        return Fraction(self.sample_rate, self.hop_length * self.audio_time_compression)

    @cached_property
    def audio_frames_per_latent_frame(self) -> int:
        """Audio latent frames in the stretch of one video latent frame;
        ValueError unless it is a whole number."""
        ratio = self.audio_latent_rate * self.slice_seconds
        if ratio.denominator != 1:
            legal = max(1, round(ratio)) / self.slice_seconds
            frame_rate = self.frame_rate * legal / self.audio_latent_rate
            raise ValueError(
                f"{float(self.audio_latent_rate):g} audio latent frames a second do not divide "
                f"into slices of {float(self.slice_seconds):g} s; the nearest rate that does is "
                f"{float(legal):g}, for instance with frame_rate {float(frame_rate):g}"
            )
        return ratio.numerator

    # sound

    @property
    def preroll_frames(self) -> int:
        return self.time_compression - 1

    @property
    def preroll_samples(self) -> int:
        return round(self.preroll_frames / self.frame_rate * self.sample_rate)

    def num_samples_with_preroll(self, num_frames: int) -> int:
        """Samples that the audio autoencoder sees for a clip of `num_frames`:
        whole slices, pre-roll in front."""
        return self.audio_latent_frames(num_frames) * self.samples_per_audio_latent

    @property
    def samples_per_audio_latent(self) -> int:
        return self.hop_length * self.audio_time_compression

    @property
    def samples_per_slice(self) -> int:
        return self.audio_frames_per_latent_frame * self.samples_per_audio_latent

    def audio_latent_frames(self, num_frames: int) -> int:
        return self.latent_frames(num_frames) * self.audio_frames_per_latent_frame

    def audio_shape(self, num_frames: int) -> tuple[int, int, int]:
        """Shape c t m of the audio latents beside `num_frames` frames."""
        rows = self.mel_bins // self.audio_mel_compression
        frames = self.latent_frames(num_frames) * self.audio_frames_per_latent_frame
        return self.audio_channels, frames, rows

    def audio_seconds(self, latent_frames: int) -> list[Fraction]:
        """Middle of each audio latent frame, in seconds from the first picture frame;
        negative in the pre-roll."""
        start = -Fraction(self.preroll_frames) / self.frame_rate
        return [
            start + (index + Fraction(1, 2)) / self.audio_latent_rate
            for index in range(latent_frames)
        ]
