"""A clip in a notebook: HTML that holds all it shows, so it plays wherever the page is opened."""

import base64
import html

from mmdiff.media.footage import Footage
from mmdiff.media.storyboard import SHEET_WIDTH, encode_storyboard
from mmdiff.media.writer import encode_clip

MOST_BYTES = 2**22  # of a file within the page; base64 makes a third more of them
MOST_PIXELS = 10**8  # of all frames: about five seconds of encoding
NARROWEST = 256  # pixels on the screen; small clips are enlarged


def footage_html(clip: Footage) -> str:
    """A player with the clip as mp4, a sound alone as wav, a still as png; where that cannot be, or
    takes over 4 MB, the storyboard and why."""
    count, height, width = clip.shape
    if count == 1 and clip.waveform is None:
        return _image(encode_clip(clip, ".png"), width, str(clip))
    kind, suffix = ("audio", ".wav") if clip.frames is None else ("video", ".mp4")
    content, why_not = b"", "too long to play here"
    if count * height * width <= MOST_PIXELS:
        try:
            content = encode_clip(clip, suffix)
            why_not = f"{len(content) / 1e6:.1f} MB, too large to play here"
        except ValueError as error:
            why_not = str(error)
    if not 0 < len(content) <= MOST_BYTES:
        text = f"{clip}: {why_not}; clip.save(...) writes a file"
        return _image(encode_storyboard(clip), SHEET_WIDTH, text)
    style = "" if kind == "audio" else f" loop {_style(width)}"
    source = _data(content, f"{kind}/{suffix[1:]}")
    return f'<{kind} controls{style} src="{source}"></{kind}><br>{_small(str(clip))}'


def _image(png: bytes, width: int, text: str) -> str:
    return f'<img {_style(width)} src="{_data(png, "image/png")}"><br>{_small(text)}'


def _style(width: int) -> str:
    shown = width * max(1, round(NARROWEST / width))
    return f'width="{shown}" style="image-rendering: pixelated"'


def _data(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _small(text: str) -> str:
    return f"<small>{html.escape(text)}</small>"
