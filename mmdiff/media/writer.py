"""Footage to files, whole or not at all: movies, wavs, gifs, strips of frames."""

import io
import wave
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from os import PathLike
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import torch
from einops import rearrange
from PIL import Image
from torch import Tensor

from mmdiff.media.atomic import check_writable, write_files
from mmdiff.media.footage import Footage, exact_rate
from mmdiff.media.movie import encode_movie
from mmdiff.media.suffixes import MOVIE_SUFFIXES, OUTPUT_SUFFIXES

Video = Tensor | np.ndarray | list[Image.Image] | Iterator[Tensor]

FULL_SCALE = 32_768  # of 16 bits
LARGEST_JPEG = 65_500  # pixels of a side
FASTEST_GIF = 50  # viewers slow down anything below two hundredths of a second


def write_clip(
    clip: Footage, path: str | PathLike[str], *, overwrite: bool = True, comment: str = ""
) -> None:
    """Write `clip` in the format of the suffix; the bytes are made in memory, so a failure leaves
    no file. A movie holds `comment` among its metadata.

    Raises ValueError for an unknown suffix or what the format cannot hold, OSError for a path that
    cannot be written.
    """
    suffix = Path(path).suffix
    if suffix.lower() not in OUTPUT_SUFFIXES:
        got = f"has the suffix {suffix!r}" if suffix else "has no suffix"
        possible = ", ".join(OUTPUT_SUFFIXES)
        raise ValueError(f"{path} {got}; a clip is written as {possible}: {Path(path).stem}.mp4")
    check_writable(path, overwrite=overwrite)
    content = encode_clip(clip, suffix.lower(), comment=comment)
    write_files({Path(path): content}, overwrite=overwrite)


def encode_clip(clip: Footage, suffix: str, *, comment: str = "") -> bytes:
    """The whole file of a clip in the format of `suffix`, one of OUTPUT_SUFFIXES.

    Raises ValueError for what the format cannot hold.
    """
    if suffix in MOVIE_SUFFIXES:
        return encode_movie(clip, suffix, comment=comment)
    if suffix == ".wav":
        return _encode_wav(clip)
    if clip.frames is None:
        raise ValueError(
            f"a {suffix[1:]} needs frames; this clip has sound only: save it as .wav or .mp4"
        )
    return _encode_gif(clip) if suffix == ".gif" else _encode_strip(clip.frames, suffix)


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
    waveform = None
    if audio is not None:
        waveform = torch.as_tensor(audio).float()
        if waveform.ndim == 1:
            waveform = rearrange(waveform, "samples -> 1 samples")
        elif waveform.ndim == 2 and waveform.shape[1] == 2 < waveform.shape[0]:
            waveform = rearrange(waveform, "samples channels -> channels samples")
    rate = None if audio is None else audio_sample_rate
    clip = Footage(_as_frames(video), exact_rate(fps), waveform, rate)
    check_writable(output_path)
    write_files({Path(output_path): encode_movie(clip, ".mp4")})


def _encode_wav(clip: Footage) -> bytes:
    """16 bits; 1.0 becomes the largest number."""
    if clip.waveform is None or clip.sample_rate is None:
        raise ValueError(
            "a wav needs a waveform; this clip has frames only: save it as .mp4, .gif or .png"
        )
    integers = (clip.waveform * FULL_SCALE).round().clamp(-FULL_SCALE, FULL_SCALE - 1)
    interleaved = rearrange(integers, "channels samples -> samples channels").cpu().numpy()
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(len(clip.waveform))
        writer.setsampwidth(2)
        writer.setframerate(clip.sample_rate)
        writer.writeframes(interleaved.astype("<i2").tobytes())
    return file.getvalue()


def _encode_strip(frames: Tensor, suffix: str) -> bytes:
    """All frames side by side, as one image: .png, or .jpg, which is nearly so."""
    strip = rearrange(frames, "frames height width c -> height (frames width) c").cpu().numpy()
    if suffix == ".png":
        return _encode_image(strip, suffix)
    if max(strip.shape) > LARGEST_JPEG:
        raise ValueError(
            f"the strip of all frames is {strip.shape[0]} x {strip.shape[1]}; "
            f"a jpg has sides up to {LARGEST_JPEG}: save it as .png"
        )
    return _encode_image(strip, suffix, quality=95, subsampling=0)


def _encode_gif(clip: Footage) -> bytes:
    """Endless, at the speed of the clip: gifs count hundredths of a second, so the frames' lengths
    vary by one."""
    assert clip.frames is not None
    if clip.fps > FASTEST_GIF:
        raise ValueError(
            f"fps is {clip.fps}; a gif plays at most {FASTEST_GIF}: change the rate to that"
        )
    ends = [round(index * 100 / clip.fps) for index in range(clip.num_frames + 1)]
    durations = [10 * (end - start) for start, end in pairwise(ends)]
    # Pillow takes a list only where there are several frames
    duration = durations if clip.num_frames > 1 else durations[0]
    return _encode_image(clip.frames.cpu().numpy(), ".gif", duration=duration, loop=0)


def _encode_image(pixels: np.ndarray, extension: str, **options: Any) -> bytes:
    encoded: bytes = iio.imwrite("<bytes>", pixels, extension=extension, plugin="pillow", **options)
    return encoded


def _as_frames(video: Video) -> Tensor:
    if isinstance(video, (Tensor, np.ndarray)):
        return _as_uint8(torch.as_tensor(video))
    chunks = []
    for chunk in video:
        if isinstance(chunk, Image.Image):
            chunk = torch.from_numpy(np.array(chunk.convert("RGB")))[None]
        chunks.append(_as_uint8(torch.as_tensor(chunk)))
    if not chunks:
        raise ValueError("video holds no frames; give at least one")
    return torch.cat(chunks)


def _as_uint8(frames: Tensor) -> Tensor:
    if not frames.is_floating_point():
        return frames
    low, high = float(frames.min()), float(frames.max())
    if not (low >= 0.0 and high <= 1.0):
        raise ValueError(f"float frames range from {low:.4g} to {high:.4g}; they must be in [0, 1]")
    return (frames.float() * 255).round().to(torch.uint8)
