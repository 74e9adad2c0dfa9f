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
from mmdiff.media.clip import Clip
from mmdiff.media.spectrum import row_of_hertz, spectrum_picture

PLOT_WIDTH = 1120
LEFT, RIGHT, TOP, GAP = 64, 28, 20, 12
WAVEFORM_HEIGHT, SPECTRUM_HEIGHT, AXIS_HEIGHT = 96, 150, 34
NUM_TILES, SMALLEST_TILE, TALLEST_TILE = 8, 48, 300
FONT_SIZE, CAPTION_SIZE = 13, 16
CAPTION_COLUMNS, CAPTION_LINES = 130, 3
LONGEST_CAPTION = 2000  # characters that are laid out; of a word of megabytes that takes minutes

PAPER, PANEL, INK, FAINT, WAVE, GRID = (
    (255, 255, 255),
    (244, 245, 248),
    (52, 56, 66),
    (128, 133, 145),
    (66, 91, 214),
    (221, 224, 231),
)


def storyboard(clip: Clip, *, caption: str = "", num_tiles: int = NUM_TILES) -> Tensor:
    """Draw the clip; what it has not is left out.

    Each picture stands at its moment on the time axis that the waveform and the spectrogram share.
    `caption` is written above. Returns height width 3, uint8.
    """
    lines = _caption_lines(caption)
    tiles = _Tiles(clip, num_tiles)
    tops, height = _layout(clip, len(lines), tiles.height)
    sheet = Image.new("RGB", (LEFT + PLOT_WIDTH + RIGHT, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    for index, line in enumerate(lines):
        draw.text((LEFT, TOP + index * (CAPTION_SIZE + 6)), line, INK, _font(CAPTION_SIZE))
    if "tiles" in tops:
        tiles.paste(sheet, tops["tiles"])
    if clip.waveform is not None:
        _draw_waveform(draw, clip, tops["waveform"])
        _paste_spectrum(sheet, clip, tops["spectrum"])
    if "axis" in tops:
        _draw_axis(draw, clip, tops["axis"])
    return torch.from_numpy(np.array(sheet))


def save_storyboard(clip: Clip, path: str | PathLike[str], *, caption: str = "") -> None:
    """Write the storyboard as a PNG, whole or not at all."""
    if Path(path).suffix.lower() != ".png":
        raise ValueError(f"{path} is no name for a storyboard; it is a PNG: {Path(path).stem}.png")
    write_files({Path(path): encode_storyboard(clip, caption=caption)})


def encode_storyboard(clip: Clip, *, caption: str = "") -> bytes:
    """The storyboard as the bytes of a PNG."""
    file = io.BytesIO()
    sheet = Image.fromarray(storyboard(clip, caption=caption).numpy())
    sheet.save(file, format="PNG", optimize=True)
    return file.getvalue()


class _Tiles:
    """The row of pictures: as many as fit, each as wide as the stretch of time it stands for."""

    def __init__(self, clip: Clip, num_tiles: int) -> None:
        self.clip = clip
        self.count = self.height = self.cell = 0
        if clip.frames is None:
            return
        if clip.num_frames == 1:
            self.count, self.cell = 1, PLOT_WIDTH // (4 if clip.waveform is None else num_tiles)
        else:
            span = int(PLOT_WIDTH * clip.video_seconds / clip.duration_seconds)
            self.count = max(1, min(num_tiles, clip.num_frames, span // SMALLEST_TILE))
            self.cell = max(span // self.count, 1)
        _, height, width = clip.shape
        self.height = max(1, min(round((self.cell - 4) * height / width), TALLEST_TILE))

    def paste(self, sheet: Image.Image, top: int) -> None:
        assert self.clip.frames is not None
        _, height, width = self.clip.shape
        tile_width = max(1, min(self.cell - 4, round(self.height * width / height)))
        enlarging = (
            Image.Resampling.NEAREST if self.height >= 3 * height else Image.Resampling.BICUBIC
        )
        method = enlarging if self.height > height else Image.Resampling.LANCZOS
        for tile in range(self.count):
            frame = self.clip.frames[self.frame_of_tile(tile)]
            picture = Image.fromarray(frame.cpu().numpy()).resize((tile_width, self.height), method)
            left = LEFT + tile * self.cell + (self.cell - tile_width) // 2
            sheet.paste(picture, (left, top))
            outline = (left - 1, top - 1, left + tile_width, top + self.height)
            ImageDraw.Draw(sheet).rectangle(outline, outline=GRID)

    def frame_of_tile(self, tile: int) -> int:
        """The frame on the screen at the middle of the tile's stretch of time."""
        return int((tile + Fraction(1, 2)) * self.clip.num_frames / self.count)


def _layout(clip: Clip, num_lines: int, tile_height: int) -> tuple[dict[str, int], int]:
    tops, y = {}, TOP
    if num_lines:
        y += num_lines * (CAPTION_SIZE + 6) + 6
    if clip.frames is not None:
        tops["tiles"] = y
        y += tile_height + GAP
    if clip.waveform is not None:
        tops["waveform"] = y
        y += WAVEFORM_HEIGHT + GAP
        tops["spectrum"] = y
        y += SPECTRUM_HEIGHT + 2
    if clip.waveform is not None or clip.num_frames > 1:
        tops["axis"] = y
        y += AXIS_HEIGHT
    return tops, y + TOP - GAP


def _draw_waveform(draw: ImageDraw.ImageDraw, clip: Clip, top: int) -> None:
    assert clip.waveform is not None
    box = (LEFT, top, LEFT + PLOT_WIDTH - 1, top + WAVEFORM_HEIGHT - 1)
    draw.rectangle(box, PANEL)
    for seconds in _ticks(clip.duration_seconds):
        x = _x_of(seconds, clip)
        draw.line((x, top, x, top + WAVEFORM_HEIGHT - 1), GRID)
    middle, half = top + WAVEFORM_HEIGHT / 2, WAVEFORM_HEIGHT / 2 - 4
    peak = float(clip.waveform.abs().max())
    scale = next(level for level in (0.05, 0.1, 0.2, 0.5, 1.0) if peak <= level)
    draw.line((LEFT, middle, LEFT + PLOT_WIDTH - 1, middle), GRID)
    width = _sound_width(clip)
    samples = clip.waveform.cpu().numpy()
    edges = np.linspace(0, samples.shape[1], width + 1).astype(int)
    for column in range(width):
        stretch = samples[:, edges[column] : max(edges[column + 1], edges[column] + 1)]
        high, low = middle - half * stretch.max() / scale, middle - half * stretch.min() / scale
        draw.line((LEFT + column, high, LEFT + column, low), WAVE)
    for level, y in ((scale, top + 4), (0, middle), (-scale, top + WAVEFORM_HEIGHT - 4)):
        draw.text((LEFT - 8, y), f"{level:g}", FAINT, _font(FONT_SIZE), anchor="rm")


def _paste_spectrum(sheet: Image.Image, clip: Clip, top: int) -> None:
    assert clip.waveform is not None
    assert clip.sample_rate is not None
    draw = ImageDraw.Draw(sheet)
    draw.rectangle((LEFT, top, LEFT + PLOT_WIDTH - 1, top + SPECTRUM_HEIGHT - 1), PANEL)
    picture = spectrum_picture(
        clip.waveform.cpu(), clip.sample_rate, height=SPECTRUM_HEIGHT, width=_sound_width(clip)
    )
    sheet.paste(Image.fromarray(picture), (LEFT, top))
    for hertz, label in (
        (100, "100 Hz"),
        (300, "300"),
        (1000, "1 kHz"),
        (3000, "3"),
        (10_000, "10"),
    ):
        if hertz < clip.sample_rate / 2:
            y = top + row_of_hertz(hertz, clip.sample_rate, height=SPECTRUM_HEIGHT)
            draw.text((LEFT - 8, y), label, FAINT, _font(FONT_SIZE), anchor="rm")
            draw.line((LEFT - 5, y, LEFT - 1, y), FAINT)


def _draw_axis(draw: ImageDraw.ImageDraw, clip: Clip, top: int) -> None:
    draw.line((LEFT, top, LEFT + PLOT_WIDTH - 1, top), FAINT)
    for seconds in _ticks(clip.duration_seconds):
        x = _x_of(seconds, clip)
        draw.line((x, top, x, top + 5), FAINT)
        draw.text((x, top + 8), f"{float(seconds):g} s", INK, _font(FONT_SIZE), anchor="mt")


def _ticks(duration: Fraction) -> list[Fraction]:
    """Multiples of 1, 2 or 5 times a power of ten: five to ten of them."""
    power = Fraction(10) ** math.floor(math.log10(duration / 5))
    step = next(power * factor for factor in (1, 2, 5, 10) if duration / (power * factor) <= 10)
    return [index * step for index in range(int(duration / step) + 1)]


def _x_of(seconds: Fraction, clip: Clip) -> int:
    return LEFT + min(round(PLOT_WIDTH * seconds / clip.duration_seconds), PLOT_WIDTH - 1)


def _sound_width(clip: Clip) -> int:
    return max(1, round(PLOT_WIDTH * clip.audio_seconds / clip.duration_seconds))


def _caption_lines(caption: str) -> list[str]:
    lines = textwrap.wrap(caption[:LONGEST_CAPTION], CAPTION_COLUMNS)
    if len(lines) > CAPTION_LINES or (lines and len(caption) > LONGEST_CAPTION):
        kept = lines[:CAPTION_LINES]
        return [*kept[:-1], kept[-1] + " ..."]
    return lines


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
