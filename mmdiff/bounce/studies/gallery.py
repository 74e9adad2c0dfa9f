"""Gallery: storyboards in the run folder, each with the command that makes its clip again."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from mmdiff.media.atomic import atomic_write
from mmdiff.media.clip import Clip
from mmdiff.media.storyboard import save_storyboard


def save_given(folder: Path, clip: Clip, name: str) -> Path:
    """The media of a condition as a file in `folder`: an image, a sound, or a clip."""
    folder.mkdir(parents=True, exist_ok=True)
    suffix = "wav" if clip.frames is None else "png" if clip.num_frames == 1 else "mp4"
    path = folder / f"{name}.given.{suffix}"
    clip.save(path)
    return path


def save_page(folder: Path, clip: Clip, name: str, *, prompt: str, words: Sequence[str]) -> None:
    """The storyboard of `clip`, and a page that shows it below its command."""
    folder.mkdir(parents=True, exist_ok=True)
    storyboard = folder / f"{name}.storyboard.png"
    save_storyboard(clip, storyboard, caption=prompt)
    command = shlex.join(["mmdiff", "generate", f"prompt={prompt}", *words])
    page = f"## {name}\n\n```\n{command}\n```\n\n![{name}]({storyboard.name})\n"
    with atomic_write(folder / f"{name}.md") as temporary:
        temporary.write_text(page, encoding="utf-8")
