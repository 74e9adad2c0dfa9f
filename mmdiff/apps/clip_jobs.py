"""The clips of a run: what each is made of, from the command line and the rows of its prompts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmdiff.apps.file_names import clip_paths, numbered
from mmdiff.apps.key_kinds import options_of_kind
from mmdiff.values.file_path import FilePath
from mmdiff.values.usage_error import UsageError

MAX_SEED = 2**63 - 1
_SCALARS = (str, int, float, FilePath, type(None))
# Of the whole run, or of the clip as a file: no setting of what is made.
_OF_THE_RUN = ("prompts", "checkpoint", "device", "batch_size", "output_dir")
_NO_SETTING = ("prompt", "seed", "num_clips", "output")


@dataclass(frozen=True)
class ClipJob:
    """One clip to make. settings: of it, by the names of the keys; output: a file of its own."""

    prompt: str
    seed: int
    settings: dict[str, Any]
    output: Path | None


def columns_of_prompts(kinds: Mapping[str, Any]) -> dict[str, Any]:
    """What a row of a table of prompts may say: each scalar key that is about one clip.

    kinds: the annotations of the root keys of `mmdiff generate`.
    """
    scalars = {name for name, kind in kinds.items() if set(options_of_kind(kind)) <= set(_SCALARS)}
    return {name: kinds[name] for name in kinds if name in scalars and name not in _OF_THE_RUN}


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
            own = numbered(output, index) if output is not None and count > 1 else output
            drawn = row["seed"] + index if "seed" in row else seed + len(jobs)
            check_range("seed", drawn, 0, MAX_SEED)
            jobs.append(ClipJob(row["prompt"], drawn, settings, own))
    return jobs


def targets_of(
    jobs: Sequence[ClipJob], suffixes: Sequence[str], *, output: str | None, output_dir: str
) -> list[Path]:
    """Where each clip is written; UsageError where two of them would be one file."""
    given = Path(output) if output is not None else None
    prompts = [job.prompt for job in jobs]
    paths = clip_paths(prompts, suffixes=suffixes, output=given, output_dir=Path(output_dir))
    paths = [job.output or path for job, path in zip(jobs, paths, strict=True)]
    twice = next((path for index, path in enumerate(paths) if path in paths[:index]), None)
    if twice is not None:
        raise UsageError(f"two clips would be written to {twice}", key="output")
    return paths


def check_range(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise UsageError(
            f"{name} is {value}; possible is {least} to {most}",
            key=name,
            got=f"{name}={value}",
            nearest=f"{name}={min(max(value, least), most)}",
        )
