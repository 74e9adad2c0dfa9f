"""Clips to files, whole or not at all."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from PIL import Image
from torch import Tensor

from mmdiff.media.atomic import check_writable, write_files
from mmdiff.media.clip import Clip, exact_rate
from mmdiff.media.mp4 import encode_movie, encode_mp4
from mmdiff.media.still import encode_gif, encode_strip
from mmdiff.media.suffixes import MOVIE_SUFFIXES, OUTPUT_SUFFIXES
from mmdiff.media.wav import encode_wav

Video = Tensor | np.ndarray | list[Image.Image] | Iterator[Tensor]


def write_clip(
    clip: Clip, path: str | PathLike[str], *, overwrite: bool = True, comment: str = ""
) -> None:
    """Write `clip` in the format of the suffix; the bytes are made in memory, so a failure leaves
    no file. A movie holds `comment` among its metadata.

    Raises ValueError for an unknown suffix or what the format cannot hold, OSError for a path that
    cannot be written.
    """
    check_suffix(path)
    check_writable(path, overwrite=overwrite)
    encoded = encode_clip(clip, Path(path).suffix.lower(), comment=comment)
    write_files({Path(path): encoded}, overwrite=overwrite)


def check_suffix(path: str | PathLike[str]) -> None:
    """Raise ValueError unless clips can be written under this name."""
    suffix = Path(path).suffix
    if suffix.lower() not in OUTPUT_SUFFIXES:
        got = f"has the suffix {suffix!r}" if suffix else "has no suffix"
        raise ValueError(
            f"{path} {got}; "
            f"a clip is written as {', '.join(OUTPUT_SUFFIXES)}: {Path(path).stem}.mp4"
        )


def encode_video(
    video: Video,
    fps: Fraction | float,
    output_path: str | PathLike[str],
    audio: Tensor | None = None,
    audio_sample_rate: int | None = None,
    video_chunks_number: int = 1,
) -> None:
    """Write an mp4: the signature of `diffusers.utils.encode_video`, but exact in rate, atomic, and
    mono stays mono.

    video                frames height width 3: uint8, or float in [0, 1]; or PIL images; or an
                         iterator of such chunks
    audio                channels samples, or samples channels with two channels, in [-1, 1]
    video_chunks_number  accepted for the sake of the signature

    Raises ValueError for what cannot be written, with the nearest value that can.
    """
    del video_chunks_number
    if audio is not None and audio_sample_rate is None:
        raise ValueError("audio was given without audio_sample_rate; give it, such as 16000")
    clip = Clip(
        frames=_as_frames(video),
        fps=exact_rate(fps),
        waveform=None if audio is None else _as_waveform(torch.as_tensor(audio)),
        sample_rate=None if audio is None else audio_sample_rate,
    )
    check_writable(output_path)
    write_files({Path(output_path): encode_mp4(clip)})


def encode_clip(clip: Clip, suffix: str, *, comment: str = "") -> bytes:
    """The whole file of a clip in the format of `suffix`, one of OUTPUT_SUFFIXES.

    Raises ValueError for what the format cannot hold.
    """
    if suffix in MOVIE_SUFFIXES:
        return encode_movie(clip, suffix, comment=comment)
    if suffix == ".wav":
        if clip.waveform is None or clip.sample_rate is None:
            raise ValueError(
                "a wav needs a waveform; this clip has picture only: save it as .mp4, .gif or .png"
            )
        return encode_wav(clip.waveform, clip.sample_rate)
    if clip.frames is None:
        raise ValueError(
            f"a {suffix[1:]} needs frames; this clip has sound only: save it as .wav or .mp4"
        )
    return encode_gif(clip) if suffix == ".gif" else encode_strip(clip.frames, suffix)


def _as_frames(video: Video) -> Tensor:
    if isinstance(video, (Tensor, np.ndarray)):
        return _as_uint8(torch.as_tensor(video))
    chunks = [_as_chunk(chunk) for chunk in _iterate(video)]
    if not chunks:
        raise ValueError("video holds no frames; give at least one")
    return torch.cat(chunks)


def _iterate(video: Iterable[Tensor | Image.Image]) -> Iterator[Tensor | Image.Image]:
    yield from video


def _as_chunk(chunk: Tensor | np.ndarray | Image.Image) -> Tensor:
    if isinstance(chunk, Image.Image):
        return rearrange(torch.from_numpy(np.array(chunk.convert("RGB"))), "h w c -> 1 h w c")
    return _as_uint8(torch.as_tensor(chunk))


def _as_uint8(frames: Tensor) -> Tensor:
    if not frames.is_floating_point():
        return frames
    low, high = float(frames.min()), float(frames.max())
    if not (low >= 0.0 and high <= 1.0):
        raise ValueError(f"float frames range from {low:.4g} to {high:.4g}; they must be in [0, 1]")
    return (frames.float() * 255).round().to(torch.uint8)


def _as_waveform(audio: Tensor) -> Tensor:
    if audio.ndim == 1:
        audio = rearrange(audio, "samples -> 1 samples")
    if audio.ndim == 2 and audio.shape[1] == 2 and audio.shape[0] > 2:
        audio = rearrange(audio, "samples channels -> channels samples")
    return audio.float()
