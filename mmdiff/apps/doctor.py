"""mmdiff doctor: check the installation and say how to mend what is broken."""

import sys
from collections.abc import Sequence
from pathlib import Path

from mmdiff.apps import health
from mmdiff.values.file_path import FilePath


def main(words: Sequence[str]) -> int:
    # Of all verbs this one must run where hydra or rich are what is broken.
    try:
        from mmdiff.apps.cli import run_call
    except ImportError as error:
        broken = health.Finding(error.name or "a package", "broken", f"does not import: {error}")
        sys.stdout.write(str(broken))
        doctor()
        return 1
    return run_call("doctor", doctor, words)


def doctor(
    *,
    checkpoint: FilePath | None = None,
    min_free_gigabytes: float = 2.0,
    output_dir: FilePath = "outputs",
) -> int:
    """Print one line a check; 1 when anything is broken, 0 otherwise."""
    num_broken = 0
    for finding in health.findings(checkpoint, Path(output_dir), min_free_gigabytes):
        num_broken += finding.state == "broken"
        sys.stdout.write(str(finding))
        sys.stdout.flush()
    verdict = "all is well" if not num_broken else f"{num_broken} broken; hints are above"
    sys.stdout.write(f"\nmmdiff doctor: {verdict}\n")
    return 1 if num_broken else 0
