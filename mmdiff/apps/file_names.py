"""File names made from prompts: short, plain, and inside the folder they are for."""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

MAX_LENGTH = 60
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(-.*)?")


def file_stem(prompt: str) -> str:
    """Lower-case letters, digits and hyphens; `clip` where nothing of the prompt is left."""
    plain = unicodedata.normalize("NFKD", prompt[: 4 * MAX_LENGTH])
    words = re.findall(r"[a-z0-9]+", plain.encode("ascii", "ignore").decode().lower())
    stem = "-".join(words)[:MAX_LENGTH].strip("-")
    if not stem or _RESERVED.fullmatch(stem):
        return f"clip-{stem}".strip("-")
    return stem


def numbered(path: Path, index: int) -> Path:
    return path.with_name(f"{path.stem}-{index:03d}{path.suffix}")


def clip_paths(
    prompts: list[str], *, suffixes: Sequence[str], output: Path | None, output_dir: Path
) -> list[Path]:
    """One path a clip: `output`, numbered when there are several, or names in `output_dir`."""
    if output is not None and len(prompts) == 1:
        return [output]
    if output is not None:
        return [numbered(output, index) for index in range(len(prompts))]
    if len(prompts) == 1:
        return [output_dir / f"{file_stem(prompts[0])}{suffixes[0]}"]
    named = enumerate(zip(prompts, suffixes, strict=True))
    return [output_dir / f"{i:03d}-{file_stem(text)}{suffix}" for i, (text, suffix) in named]
