"""A clip as one picture: frames over the waveform over the spectrogram, on one time axis."""

import io
import math
import textwrap
from fractions import Fraction
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from mmdiff.media.atomic import write_files
from mmdiff.media.footage import Footage
from mmdiff.media.spectrum import row_of_hertz, spectrum_picture

PLOT_WIDTH = 1120
LEFT, RIGHT, TOP, GAP = 64, 28, 20, 12
SHEET_WIDTH = LEFT + PLOT_WIDTH + RIGHT
WAVEFORM_HEIGHT, SPECTRUM_HEIGHT, AXIS_HEIGHT = 96, 150, 34
NUM_TILES, SMALLEST_TILE, TALLEST_TILE = 8, 48, 300
FONT_SIZE, CAPTION_SIZE = 13, 16
CAPTION_COLUMNS, CAPTION_LINES = 130, 3
LONGEST_CAPTION = 2000  # characters that are laid out; of a word of megabytes that takes minutes
SCALES = (0.05, 0.1, 0.2, 0.5, 1.0)  # of a waveform
HERTZ = {100: "100 Hz", 300: "300", 1000: "1 kHz", 3000: "3", 10_000: "10"}

PAPER, PANEL, INK, FAINT, WAVE, GRID = (
    (255, 255, 255),
    (244, 245, 248),
    (52, 56, 66),
    (128, 133, 145),
    (66, 91, 214),
    (221, 224, 231),
)


def storyboard(clip: Footage, *, caption: str = "") -> Tensor:
    """Draw the clip; what it has not is left out.

    Each frame stands at its time on the axis that the waveform and the spectrogram share. `caption`
    is written above. Returns height width 3, uint8.
    """
    lines = caption_lines(caption)
    tops, y = {}, TOP + (len(lines) * (CAPTION_SIZE + 6) + 6 if lines else 0)
    if clip.frames is not None:
        tops["frames"] = y
        y += _tiles(clip)[1] + GAP
    if clip.waveform is not None:
        tops["waveform"], tops["spectrum"] = y, y + WAVEFORM_HEIGHT + GAP
        y = tops["spectrum"] + SPECTRUM_HEIGHT + 2
    if clip.waveform is not None or clip.num_frames > 1:
        tops["axis"] = y
        y += AXIS_HEIGHT
    sheet = Image.new("RGB", (SHEET_WIDTH, y + TOP - GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    for index, line in enumerate(lines):
        draw.text((LEFT, TOP + index * (CAPTION_SIZE + 6)), line, INK, _font(CAPTION_SIZE))
    if clip.frames is not None:
        _paste_frames(sheet, clip, clip.frames, tops["frames"])
    if clip.waveform is not None:
        _draw_waveform(draw, clip, clip.waveform, tops["waveform"])
        _paste_spectrum(sheet, clip, clip.waveform, tops["spectrum"])
    if "axis" in tops:
        _draw_axis(draw, clip, tops["axis"])
    return torch.from_numpy(np.array(sheet))


def save_storyboard(clip: Footage, path: str | PathLike[str], *, caption: str = "") -> None:
    """Write the storyboard as a PNG, whole or not at all."""
    if Path(path).suffix.lower() != ".png":
        raise ValueError(f"{path} is no name for a storyboard; it is a PNG: {Path(path).stem}.png")
    write_files({Path(path): encode_storyboard(clip, caption=caption)})


def encode_storyboard(clip: Footage, *, caption: str = "") -> bytes:
    """The storyboard as the bytes of a PNG."""
    file = io.BytesIO()
    sheet = Image.fromarray(storyboard(clip, caption=caption).numpy())
    sheet.save(file, format="PNG", optimize=True)
    return file.getvalue()


def caption_lines(caption: str) -> list[str]:
    lines = textwrap.wrap(caption[:LONGEST_CAPTION], CAPTION_COLUMNS)
    if len(lines) > CAPTION_LINES or (lines and len(caption) > LONGEST_CAPTION):
        kept = lines[:CAPTION_LINES]
        return [*kept[:-1], kept[-1] + " ..."]
    return lines


def _tiles(clip: Footage) -> tuple[int, int, int]:
    """How many frames are shown, as many as fit; their height, and the width that each has, which
    is that of the time it stands for."""
    num_frames, height, width = clip.shape
    if num_frames == 1:
        count, cell = 1, PLOT_WIDTH // (4 if clip.waveform is None else NUM_TILES)
    else:
        row = int(PLOT_WIDTH * clip.video_seconds / clip.duration_seconds)
        count = max(1, min(NUM_TILES, num_frames, row // SMALLEST_TILE))
        cell = max(row // count, 1)
    return count, max(1, min(round((cell - 4) * height / width), TALLEST_TILE)), cell


def _paste_frames(sheet: Image.Image, clip: Footage, frames: Tensor, top: int) -> None:
    count, tile_height, cell = _tiles(clip)
    num_frames, height, width = clip.shape
    tile_width = max(1, min(cell - 4, round(tile_height * width / height)))
    method = Image.Resampling.LANCZOS
    if tile_height > height:
        is_large = tile_height >= 3 * height
        method = Image.Resampling.NEAREST if is_large else Image.Resampling.BICUBIC
    for tile in range(count):
        frame = frames[int((tile + Fraction(1, 2)) * num_frames / count)]  # on in its middle
        picture = Image.fromarray(frame.cpu().numpy()).resize((tile_width, tile_height), method)
        left = LEFT + tile * cell + (cell - tile_width) // 2
        sheet.paste(picture, (left, top))
        outline = (left - 1, top - 1, left + tile_width, top + tile_height)
        ImageDraw.Draw(sheet).rectangle(outline, outline=GRID)


def _draw_waveform(draw: ImageDraw.ImageDraw, clip: Footage, waveform: Tensor, top: int) -> None:
    bottom = top + WAVEFORM_HEIGHT - 1
    draw.rectangle((LEFT, top, LEFT + PLOT_WIDTH - 1, bottom), PANEL)
    for _, x in _ticks(clip):
        draw.line((x, top, x, bottom), GRID)
    middle, half = top + WAVEFORM_HEIGHT / 2, WAVEFORM_HEIGHT / 2 - 4
    peak = float(waveform.abs().max())
    scale = next(level for level in SCALES if peak <= level)
    draw.line((LEFT, middle, LEFT + PLOT_WIDTH - 1, middle), GRID)
    width = _sound_width(clip)
    samples = waveform.cpu().numpy()
    edges = np.linspace(0, samples.shape[1], width + 1).astype(int)
    for column in range(width):
        part = samples[:, edges[column] : max(edges[column + 1], edges[column] + 1)]
        high, low = middle - half * part.max() / scale, middle - half * part.min() / scale
        draw.line((LEFT + column, high, LEFT + column, low), WAVE)
    for level, y in ((scale, top + 4), (0, middle), (-scale, top + WAVEFORM_HEIGHT - 4)):
        draw.text((LEFT - 8, y), f"{level:g}", FAINT, _font(FONT_SIZE), anchor="rm")


def _paste_spectrum(sheet: Image.Image, clip: Footage, waveform: Tensor, top: int) -> None:
    assert clip.sample_rate is not None
    draw = ImageDraw.Draw(sheet)
    draw.rectangle((LEFT, top, LEFT + PLOT_WIDTH - 1, top + SPECTRUM_HEIGHT - 1), PANEL)
    size = {"height": SPECTRUM_HEIGHT, "width": _sound_width(clip)}
    picture = spectrum_picture(waveform.cpu(), clip.sample_rate, **size)
    sheet.paste(Image.fromarray(picture), (LEFT, top))
    for hertz, label in HERTZ.items():
        if hertz < clip.sample_rate / 2:
            y = top + row_of_hertz(hertz, clip.sample_rate, height=SPECTRUM_HEIGHT)
            draw.text((LEFT - 8, y), label, FAINT, _font(FONT_SIZE), anchor="rm")
            draw.line((LEFT - 5, y, LEFT - 1, y), FAINT)


def _draw_axis(draw: ImageDraw.ImageDraw, clip: Footage, top: int) -> None:
    draw.line((LEFT, top, LEFT + PLOT_WIDTH - 1, top), FAINT)
    for seconds, x in _ticks(clip):
        draw.line((x, top, x, top + 5), FAINT)
        draw.text((x, top + 8), f"{float(seconds):g} s", INK, _font(FONT_SIZE), anchor="mt")


def _ticks(clip: Footage) -> list[tuple[Fraction, int]]:
    """Multiples of 1, 2 or 5 times a power of ten, five to ten of them, in seconds and pixels."""
    duration = clip.duration_seconds
    power = Fraction(10) ** math.floor(math.log10(duration / 5))
    step = next(power * factor for factor in (1, 2, 5, 10) if duration / (power * factor) <= 10)
    ticks = [index * step for index in range(int(duration / step) + 1)]
    return [
        (tick, LEFT + min(round(PLOT_WIDTH * tick / duration), PLOT_WIDTH - 1)) for tick in ticks
    ]


def _sound_width(clip: Footage) -> int:
    return max(1, round(PLOT_WIDTH * clip.audio_seconds / clip.duration_seconds))


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
