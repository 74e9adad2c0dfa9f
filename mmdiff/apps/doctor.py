"""mmdiff doctor: check the installation and say how to mend what is broken."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmdiff.apps import health
from mmdiff.apps.health import Finding
from mmdiff.values.file_path import FilePath

_SIGNS = {"ok": "ok     ", "note": "note   ", "broken": "BROKEN "}


def main(words: Sequence[str]) -> int:
    # Of all verbs this one must run where hydra or rich are what is broken.
    try:
        from mmdiff.apps.run import run_call
    except ImportError as error:
        name = error.name or "a package"
        sys.stdout.write(f"{_SIGNS['broken']}{name} does not import: {error}\n")
        doctor()
        return 1
    return run_call("doctor", doctor, words)


def doctor(
    *,
    checkpoint: FilePath | None = None,
    min_free_gigabytes: float = 2.0,
    output_dir: FilePath = "outputs",
    paths: dict[str, FilePath] | None = None,
) -> int:
    """Print one line a check; 1 when anything is broken, 0 otherwise."""
    num_broken = 0
    for finding in findings(checkpoint, Path(output_dir), min_free_gigabytes):
        num_broken += finding.state == "broken"
        sys.stdout.write(line(finding))
        sys.stdout.flush()
    verdict = "all is well" if not num_broken else f"{num_broken} broken; hints are above"
    sys.stdout.write(f"\nmmdiff doctor: {verdict}\n")
    return 1 if num_broken else 0


def findings(checkpoint: str | None, folder: Path, min_free_gigabytes: float) -> Iterator[Finding]:
    yield from health.python_and_packages()
    yield health.torch_and_torchaudio()
    yield health.codecs()
    yield from health.disk(folder, min_free_gigabytes)
    yield health.accelerator()
    yield health.model(checkpoint)


def line(finding: Finding) -> str:
    hint = f"\n         hint: {finding.hint}" if finding.hint else ""
    return f"{_SIGNS[finding.state]} {finding.name:<14} {finding.text}{hint}\n"


READER = doctor
