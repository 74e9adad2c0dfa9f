"""The law of floors, the fences around the big libraries, and calls that no file may make.

    python tools/floors.py [folder]

A room imports from lower floors only: never from a peer, never from a file above (DESIGN). Prints
one line for every violation and exits with 1 when there is any.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FLOORS = {
    "values": 0,
    **dict.fromkeys(("media", "loading"), 1),
    **dict.fromkeys(("text", "autoencoders", "backbone", "diffusion"), 2),
    **dict.fromkeys(("conditioning", "guidance", "data", "evaluation", "distributed"), 3),
    **dict.fromkeys(("pipelines", "training"), 4),
    "finetune": 5,
    "bounce": 6,
    "apps": 7,
}

# library -> rooms (or single files) that may import it
FENCES = {
    "lightning": ("training", "data/datamodule.py", "distributed", "apps"),
    "pytorch_lightning": (),
    "hydra": ("apps",),
    "omegaconf": ("apps",),
    "av": ("media", "apps/doctor.py"),
    "imageio": ("media",),
    "transformers": ("text", "evaluation", "guidance", "pipelines", "apps/export.py"),
    "rich": ("apps", "evaluation", "training/callbacks"),
    "gradio": ("apps",),
    "diffusers.pipelines": ("pipelines",),
    "diffusers.DiffusionPipeline": ("pipelines",),
    "diffusers.schedulers": ("diffusion/scheduler.py", "pipelines", "apps"),
}

MODULE_NAMES = {"utils", "helpers", "common", "misc", "core"}
# S13: each of these runs, or can run, what stands in a file or a text
FORBIDDEN_CALLS = {
    *("print", "eval", "exec", "compile", "__import__", "breakpoint"),
    *("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"),
    *("torch.load", "torch.save", "torch.hub.load", "torch.jit.load", "tempfile.mktemp"),
    *("yaml.load", "yaml.load_all", "yaml.full_load", "yaml.unsafe_load"),
    *("pandas.read_pickle", "pd.read_pickle"),
}
FORBIDDEN_LIBRARIES = {
    *("pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "jsonpickle"),
    *("marshal", "shelve"),
}
FORBIDDEN_ARGUMENTS = {
    "weights_only": False,
    "trust_remote_code": True,
    "shell": True,
    "allow_pickle": True,
    "use_safetensors": False,
    "safe_serialization": False,
}
BROAD = {"Exception", "BaseException"}


@dataclass(frozen=True)
class Violation:
    path: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.reason}"


def violations(package: Path) -> list[Violation]:
    """All violations in a package folder (`mmdiff/`)."""
    found: list[Violation] = []
    for path in sorted(package.rglob("*.py")):
        inside = path.relative_to(package).as_posix()
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
        reasons = [*_import_faults(inside, tree, package.name), *_call_faults(tree)]
        reasons += list(_shape_faults(inside, tree))
        found += [Violation(f"{package.name}/{inside}", line, reason) for line, reason in reasons]
    return found


def _import_faults(inside: str, tree: ast.Module, package: str) -> Iterator[tuple[int, str]]:
    room = inside.split("/")[0] if "/" in inside else None
    for node, name in _imports(tree):
        if name.startswith("."):
            yield node.lineno, "imports are absolute"
        library = name.split(".")[0]
        if library in FORBIDDEN_LIBRARIES:
            yield node.lineno, f"{library} runs what it reads: write JSON and safetensors"
        if isinstance(node, ast.ImportFrom) and name in FORBIDDEN_CALLS:
            yield node.lineno, f"{name}() is not used in the package"
        if library == package and room is not None:
            yield from _floor_faults(node, name, room, package)
        for fenced, rooms in FENCES.items():
            is_inside = any(inside == place or inside.startswith(f"{place}/") for place in rooms)
            if (name == fenced or name.startswith(f"{fenced}.")) and not is_inside:
                allowed = ", ".join(rooms) or "no room"
                yield node.lineno, f"{fenced} is for {allowed}; {inside} imports {name}"


def _floor_faults(node: ast.stmt, name: str, room: str, package: str) -> Iterator[tuple[int, str]]:
    parts = name.split(".")
    other = parts[1] if len(parts) > 1 else ""
    if room not in FLOORS:
        yield node.lineno, f"{room} is no room of the house"
    elif other in FLOORS and other != room and FLOORS[other] >= FLOORS[room]:
        relation = "a peer" if FLOORS[other] == FLOORS[room] else "above it"
        yield node.lineno, f"{room} imports {name}, which is {relation}"
    elif other not in FLOORS and room != "apps" and other != "__version__":
        yield node.lineno, f"{room} imports {name}: import from the file that defines"


def _imports(tree: ast.Module) -> Iterator[tuple[ast.stmt, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            for alias in node.names:
                yield node, f"{module}.{alias.name}"


def _call_faults(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and (broad := _broad(node.type)):
            yield node.lineno, f"{broad} hides what went wrong: name the errors"
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in FORBIDDEN_CALLS:
                yield node.lineno, f"{name}() is not used in the package"
            for argument in node.keywords:
                forbidden = FORBIDDEN_ARGUMENTS.get(argument.arg or "")
                value = argument.value.value if isinstance(argument.value, ast.Constant) else None
                if forbidden is not None and value is forbidden:
                    yield node.lineno, f"{argument.arg}={value} is not used in the package"


def _broad(caught: ast.expr | None) -> str:
    if caught is None:
        return "bare except"
    names = [ast.unparse(e) for e in (caught.elts if isinstance(caught, ast.Tuple) else [caught])]
    return next((f"except {name}" for name in names if name in BROAD), "")


def _shape_faults(inside: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    parts = inside.removesuffix(".py").split("/")
    for part in parts:
        if part in MODULE_NAMES:
            yield 1, f"{part} names no concept"
    if parts[-1] == "__init__" and len(parts) > 1:
        is_docstring = [
            isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant) for n in tree.body
        ]
        if is_docstring != [True]:
            yield 1, "the __init__.py of a room is one docstring"
    elif ast.get_docstring(tree) is None:
        yield 1, "the file has no docstring: say which concept it holds"


def main(arguments: list[str]) -> int:
    root = Path(__file__).resolve().parents[1]
    package = Path(arguments[0]) if arguments else root / "mmdiff"
    found = violations(package)
    for violation in found:
        print(violation)
    print(
        f"{len(found)} violations in {package.name}/" if found else f"{package.name}/ keeps the law"
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
