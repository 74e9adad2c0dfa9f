"""Gallery: storyboards in the run folder, each with the command that makes its clip again."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmdiff.media.atomic import atomic_write
from mmdiff.media.clip import Clip
from mmdiff.media.storyboard import save_storyboard


@dataclass(frozen=True)
class Gallery:
    """`gallery/` in a run folder: what was given, what was made of it, and the command for it."""

    run_folder: Path

    @property
    def folder(self) -> Path:
        return self.run_folder / "gallery"

    def save_given(self, clip: Clip, name: str) -> Path:
        """The media of a condition as a file: an image, a sound, or a clip."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if clip.frames is None:
            suffix = "wav"
        else:
            suffix = "png" if clip.num_frames == 1 else "mp4"
        path = self.folder / f"{name}.given.{suffix}"
        clip.save(path)
        return path

    def add(self, name: str, clip: Clip, *, prompt: str, words: Sequence[str]) -> Path:
        """Draw the storyboard of `clip`, and write its page."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{name}.storyboard.png"
        save_storyboard(clip, path, caption=prompt)
        command = shlex.join(["mmdiff", "generate", f"prompt={prompt}", *words])
        page = path.with_name(f"{name}.md")
        section = f"## {name}\n\n```\n{command}\n```\n\n![{name}]({path.name})\n"
        with atomic_write(page) as temporary:
            temporary.write_text(section, encoding="utf-8")
        return path
