"""Write requirements.lock: every package of an installation of mmdiff, with its version and sha256.

    python tools/lock.py

The versions are those of the environment this runs in, which the tests have passed in, as far as
pyproject.toml allows them; the hashes are those of the files that pip would install for this
Python and this platform. Nothing is installed. A user installs the same with

    pip install --require-hashes -r requirements.lock
    pip install --no-deps .
"""

import json
import platform
import subprocess
import sys
import tempfile
import tomllib
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
HEAD = """\
# Every package of an installation of mmdiff, without extras, for {system} {machine} and CPython
# {python}. Made by tools/lock.py; install with: pip install --require-hashes -r requirements.lock
"""


def main() -> int:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = resolved(project["project"]["dependencies"])
    LOCK.write_text(head() + "".join(map(locked, packages)), encoding="utf-8")
    print(f"{LOCK.name}: {len(packages)} packages")
    return 0


def resolved(requirements: list[str]) -> list[dict[str, Any]]:
    """What pip would install for `requirements` in an empty environment, as pip reports it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "wanted.txt").write_text("\n".join(requirements))
        (folder / "here.txt").write_text("\n".join(versions_here()))
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run"]
        command += ["--ignore-installed", "--prefer-binary"]
        command += ["-r", "wanted.txt", "-c", "here.txt", "--report", "report.json"]
        subprocess.run(command, cwd=folder, check=True)
        report = json.loads((folder / "report.json").read_text())
    return sorted(report["install"], key=lambda one: canonicalize_name(one["metadata"]["name"]))


def versions_here() -> list[str]:
    """Constraints: the public versions of all that is installed, mmdiff and pip's own left out."""
    here = {
        canonicalize_name(one.metadata["Name"]): Version(one.version).public
        for one in distributions()
    }
    return [f"{name}=={version}" for name, version in sorted(here.items()) if name != "mmdiff"]


def locked(package: dict[str, Any]) -> str:
    """One requirement with its hash; SystemExit where pip found none of a known content."""
    name = canonicalize_name(package["metadata"]["name"])
    sha256 = package["download_info"].get("archive_info", {}).get("hashes", {}).get("sha256")
    if sha256 is None:
        raise SystemExit(f"{name} comes from {package['download_info']}, which has no sha256")
    version = Version(package["metadata"]["version"]).public
    return f"{name}=={version} \\\n    --hash=sha256:{sha256}\n"


def head() -> str:
    return HEAD.format(
        system=platform.system(),
        machine=platform.machine(),
        python=".".join(map(str, sys.version_info[:2])),
    )


if __name__ == "__main__":
    raise SystemExit(main())
