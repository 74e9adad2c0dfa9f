"""A clip in a notebook: HTML that holds all it shows, so it plays wherever the page is opened."""

import base64
import html
import io

from PIL import Image

from mmdiff.media.clip import Clip
from mmdiff.media.writer import encode_clip

MOST_BYTES = 2**22  # of a file within the page; base64 makes a third more of them
MOST_PIXELS = 10**8  # of all frames: about five seconds of encoding
PIXELS = "image-rendering: pixelated"
NARROWEST = 256  # pixels on the screen; small clips are enlarged


def clip_html(clip: Clip) -> str:
    """A player with the clip as mp4, a sound alone as wav, a still as png; where that cannot be, or
    takes over 4 MB, the storyboard and why."""
    count, height, width = clip.shape
    kind, suffix = ("audio", ".wav") if clip.frames is None else ("video", ".mp4")
    if count == 1 and clip.waveform is None:
        return _image(clip.frame(0), width, str(clip))
    if count * height * width > MOST_PIXELS:
        return _drawn(clip, "too long to play here")
    try:
        content = encode_clip(clip, suffix)
    except ValueError as error:
        return _drawn(clip, str(error))
    if len(content) > MOST_BYTES:
        return _drawn(clip, f"{len(content) / 1e6:.1f} MB, too large to play here")
    style = "" if kind == "audio" else f' loop width="{_shown(width)}" style="{PIXELS}"'
    source = _data(content, f"{kind}/{suffix[1:]}")
    return f'<{kind} controls{style} src="{source}"></{kind}><br>{_small(str(clip))}'


def _drawn(clip: Clip, why: str) -> str:
    board = clip.storyboard()
    return _image(board, board.width, f"{clip}: {why}; clip.save(...) writes a file")


def _image(image: Image.Image, width: int, text: str) -> str:
    file = io.BytesIO()
    image.save(file, format="PNG")
    source = _data(file.getvalue(), "image/png")
    return f'<img width="{_shown(width)}" style="{PIXELS}" src="{source}"><br>{_small(text)}'


def _shown(width: int) -> int:
    return width * max(1, round(NARROWEST / width))


def _data(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _small(text: str) -> str:
    return f"<small>{html.escape(text)}</small>"
