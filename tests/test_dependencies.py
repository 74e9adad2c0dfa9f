"""S11: what mmdiff depends on has floors, and excludes the releases that are known to be bad."""

import ast
import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

PROJECT = tomllib.loads((Path(__file__).resolve().parents[1] / "pyproject.toml").read_text())
DEPENDENCIES = {r.name: r for r in map(Requirement, PROJECT["project"]["dependencies"])}
EXTRAS = [
    Requirement(line)
    for lines in PROJECT["project"]["optional-dependencies"].values()
    for line in lines
]
# the oldest that the tests hold on, and the first that is not asked for
FLOORS = {
    "torch": ("2.13", ""),
    "torchaudio": ("2.11.1", ""),
    "diffusers": ("0.42.1", "0.43"),
    "transformers": ("5.17", "6"),
    "lightning": ("2.6.6", "2.7"),
    "hydra-core": ("1.3.8", "1.4"),
    "av": ("18", ""),
}
BAD = [
    ("lightning", "2.6.2"),
    ("lightning", "2.6.3"),
    ("lightning", "2.6.5"),
    ("torch", "2.12.1"),  # beside it torchaudio 2.11.1 does not import
    ("torchaudio", "2.11.0"),  # beside torch 2.13 it does not import
]


@pytest.mark.parametrize("requirement", [*DEPENDENCIES.values(), *EXTRAS], ids=str)
def test_s11_every_dependency_has_a_floor(requirement):
    assert any(one.operator in (">=", "==", "~=") for one in requirement.specifier)
    assert requirement.url is None


@pytest.mark.parametrize("name", FLOORS)
def test_s11_floors_and_ceilings(name):
    floor, ceiling = FLOORS[name]
    specifier = DEPENDENCIES[name].specifier
    bounds = {one.operator: Version(one.version) for one in specifier}
    assert bounds[">="] >= Version(floor)
    assert not ceiling or bounds["<"] <= Version(ceiling)


@pytest.mark.parametrize("name, version", BAD)
def test_s11_releases_known_to_be_bad_are_excluded(name, version):
    assert not DEPENDENCIES[name].specifier.contains(version)


@pytest.mark.parametrize("name", ["torch", "torchaudio"])
def test_s11_no_upper_bound_holds_torch_back_from_its_partner(name):
    assert not any(one.operator in ("<", "<=", "==", "~=") for one in DEPENDENCIES[name].specifier)


def test_s11_nothing_is_installed_from_anywhere_else():
    text = re.sub(r"#.*", "", (Path(__file__).resolve().parents[1] / "pyproject.toml").read_text())
    assert not re.search(r"git\+|https?://", text)


LOCK = (Path(__file__).resolve().parents[1] / "requirements.lock").read_text(encoding="utf-8")
LOCKED = dict(
    re.findall(r"^([\w.-]+)==(\S+) \\\n    --hash=sha256:[0-9a-f]{64}$", LOCK, re.MULTILINE)
)


def test_s11_the_lock_gives_every_package_one_version_and_its_sha256():
    lines = [line for line in LOCK.splitlines() if line and not line.startswith("#")]
    assert len(lines) == 2 * len(LOCKED)  # each line was read, and no name is there twice
    assert all(name == canonicalize_name(name) for name in LOCKED)
    assert "Linux x86_64" in LOCK.splitlines()[0] and "3.11" in LOCK.splitlines()[1]


@pytest.mark.parametrize("name", DEPENDENCIES)
def test_s11_the_lock_satisfies_the_project(name):
    assert DEPENDENCIES[name].specifier.contains(LOCKED[canonicalize_name(name)])


@pytest.mark.parametrize("name", LOCKED)
def test_s11_what_a_locked_package_needs_is_locked_too(name):
    try:
        here = distribution(name)
    except PackageNotFoundError:
        pytest.skip(f"{name} is not installed here")
    if Version(here.version).public != LOCKED[name]:
        pytest.skip(f"{name} is installed in another version")
    for requirement in map(Requirement, here.requires or ()):
        marker = requirement.marker
        if marker is None or marker.evaluate({"extra": "", "python_version": "3.11"}):
            assert canonicalize_name(requirement.name) in LOCKED, f"{name} needs {requirement}"
            assert requirement.specifier.contains(LOCKED[canonicalize_name(requirement.name)])


@pytest.mark.parametrize("name, version", BAD)
def test_s11_the_lock_holds_no_release_known_to_be_bad(name, version):
    assert LOCKED[name] != version


def test_s11_the_lock_names_no_place():
    # a place would be followed instead of the index that the user trusts
    assert not re.search(r"https?:|file:|index-url|find-links|trusted-host", LOCK)


def test_what_is_imported_is_asked_for_by_name():
    # what only comes along with another library may leave with its next release
    asked = {canonicalize_name(name) for name in DEPENDENCIES} | {
        canonicalize_name(one.name) for one in EXTRAS
    }
    of_library = packages_distributions()
    for path in sorted((Path(__file__).resolve().parents[1] / "mmdiff").rglob("*.py")):
        for library in _imported(path) - set(sys.stdlib_module_names) - {"mmdiff"}:
            names = {canonicalize_name(name) for name in of_library.get(library, [library])}
            assert names & asked, f"{path} imports {library}, which pyproject.toml does not name"


def _imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found
