"""The clips of a run: what each is made of, and the file that it is written to."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmdiff.values.usage_error import UsageError

MAX_SEED = 2**63 - 1
MAX_LENGTH = 60  # of a file name that is made of a prompt
_NO_SETTING = ("prompt", "seed", "num_clips", "output")
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(-.*)?")  # by Windows


@dataclass(frozen=True)
class ClipJob:
    """One clip to make. settings: of it, by the names of the keys; output: a file of its own."""

    prompt: str
    seed: int
    settings: dict[str, Any]
    output: Path | None


def clip_jobs(
    rows: Iterable[Mapping[str, Any]], common: Mapping[str, Any], *, seed: int, num_clips: int
) -> list[ClipJob]:
    """All clips in order; a row's own settings come before the `common` ones.

    Clip i has the seed `seed` + i, or, where its row has a seed, that and those after it.
    """
    jobs: list[ClipJob] = []
    for row in rows:
        count = row.get("num_clips", num_clips)
        check_range("num_clips", count, 1, 100_000)
        settings = {**common, **{key: row[key] for key in row if key not in _NO_SETTING}}
        output = Path(row["output"]).expanduser() if "output" in row else None
        for index in range(count):
            own = _numbered(output, index) if output is not None and count > 1 else output
            drawn = row["seed"] + index if "seed" in row else seed + len(jobs)
            check_range("seed", drawn, 0, MAX_SEED)
            jobs.append(ClipJob(row["prompt"], drawn, settings, own))
    return jobs


def targets_of(
    jobs: Sequence[ClipJob], suffixes: Sequence[str], *, output: str | None, output_dir: str
) -> list[Path]:
    """Where each clip is written: its own file; `output`, numbered where there are several; or a
    name made of its prompt in `output_dir`. UsageError where two of them would be one file."""
    is_one = len(jobs) == 1
    paths: list[Path] = []
    for index, (job, suffix) in enumerate(zip(jobs, suffixes, strict=True)):
        stem = file_stem(job.prompt) if is_one else f"{index:03d}-{file_stem(job.prompt)}"
        path = Path(output_dir) / f"{stem}{suffix}"
        if output is not None:
            path = Path(output) if is_one else _numbered(Path(output), index)
        paths.append(job.output or path)
        if paths[-1] in paths[:-1]:
            raise UsageError(f"two clips would be written to {paths[-1]}")
    return paths


def file_stem(prompt: str) -> str:
    """Lower-case letters, digits and hyphens; `clip` where nothing of the prompt is left."""
    plain = unicodedata.normalize("NFKD", prompt[: 4 * MAX_LENGTH])
    words = re.findall(r"[a-z0-9]+", plain.encode("ascii", "ignore").decode().lower())
    stem = "-".join(words)[:MAX_LENGTH].strip("-")
    if not stem or _RESERVED.fullmatch(stem):
        return f"clip-{stem}".strip("-")
    return stem


def check_range(name: str, value: int, least: int, most: int) -> None:
    """Raise UsageError unless a key lies in its range."""
    if not least <= value <= most:
        raise UsageError(
            f"{name} is {value}; possible is {least} to {most}",
            nearest=f"{name}={min(max(value, least), most)}",
        )


def _numbered(path: Path, index: int) -> Path:
    return path.with_name(f"{path.stem}-{index:03d}{path.suffix}")
