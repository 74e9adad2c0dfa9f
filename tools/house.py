"""Count the house, and trace a call through it.

    python tools/house.py             # lines, files, refusals, comments, functions, import circles
    python tools/house.py --call      # functions and files from the prompt to pixels

A line refuses when it is a `raise`, the test of an `if` that does nothing but raise, or stands in a
function that raises and is called check, legal, refuse, require or valid, or is a `__post_init__`.
"""

import argparse
import ast
import inspect
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from types import FrameType

PACKAGE = Path(__file__).resolve().parents[1] / "mmdiff"
CHECKS = re.compile("check|legal|refuse|require|valid")
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
PROMPT = (
    "a small red circle bouncing left and right quickly on a black background, "
    "a high ping at each bounce"
)


@dataclass
class Counts:
    """Of a file, or of the sum of files."""

    lines: int = 0
    refusing: int = 0
    commented: int = 0
    relayed: int = 0  # arguments passed on under their own name
    used_once: int = 0  # private functions
    lengths: list[int] = field(default_factory=list)  # of functions, in lines

    def add(self, source: str) -> None:
        lines, tree = source.splitlines(), ast.parse(source)
        self.lines += len(lines)
        self.commented += sum(bool(re.search(r"^\s*#|\S\s+# \S", line)) for line in lines)
        refusing: set[int] = set()
        for node in ast.walk(tree):
            if _refuses(node):
                refusing |= set(range(node.lineno, node.end_lineno + 1))
            if isinstance(node, ast.Call):
                self.relayed += sum(
                    isinstance(word.value, ast.Name) and word.value.id == word.arg
                    for word in node.keywords
                )
            if isinstance(node, FUNCTIONS):
                self.lengths.append(node.end_lineno - node.lineno + 1)
                is_private = node.name.startswith("_") and not node.name.startswith("__")
                self.used_once += is_private and len(re.findall(rf"\b{node.name}\b", source)) == 2
        self.refusing += len(refusing)


def _refuses(node: ast.AST) -> bool:
    if isinstance(node, FUNCTIONS):
        is_check = CHECKS.search(node.name) or node.name == "__post_init__"
        return bool(is_check) and any(isinstance(part, ast.Raise) for part in ast.walk(node))
    if isinstance(node, ast.If):
        return not node.orelse and all(isinstance(part, ast.Raise) for part in node.body)
    return isinstance(node, ast.Raise)


def circles(package: Path) -> list[str]:
    """Modules that import themselves by way of others; an import inside a function counts."""
    modules = {
        ".".join(path.relative_to(package.parent).with_suffix("").parts).removesuffix(
            ".__init__"
        ): path
        for path in package.rglob("*.py")
    }
    graph = {name: set(_imports(path)) & (set(modules) - {name}) for name, path in modules.items()}

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        todo = [start]
        while todo:
            new = graph[todo.pop()] - seen
            seen |= new
            todo += new
        return seen

    return sorted(name for name in modules if name in reached(name) and name != package.name)


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def report(package: Path) -> str:
    counts, files = Counts(), sorted(package.rglob("*.py"))
    for path in files:
        counts.add(path.read_text(encoding="utf-8"))
    lengths, inside = sorted(counts.lengths), circles(package)
    rows = {
        "lines, files": f"{counts.lines}, {len(files)}",
        "lines that refuse": f"{counts.refusing / counts.lines:.1%}",
        "lines with a comment": f"{counts.commented / counts.lines:.1%}",
        "private functions used once": counts.used_once,
        "function lines: median, 90th percentile, longest": (
            f"{median(lengths):g}, {lengths[int(0.9 * len(lengths))]}, {lengths[-1]}"
        ),
        "arguments passed on under their own name": counts.relayed,
        "files in import circles": f"{len(inside)} {' '.join(inside[:8])}",
    }
    return "\n".join(f"{name:<50} {value}" for name, value in rows.items())


def trace() -> str:
    """Functions of ours, once each, that a call of the pipeline passes in order."""
    import torch

    from mmdiff import MMDiffPipeline

    pipe = MMDiffPipeline.from_pretrained()
    pipe.set_progress_bar_config(disable=True)
    passed: dict[tuple[str, str], None] = {}

    def watch(frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        is_ours = code.co_filename.startswith(f"{PACKAGE}/") and not code.co_name.startswith("<")
        if event == "call" and is_ours and code.co_flags & inspect.CO_OPTIMIZED:
            name = Path(code.co_filename).relative_to(PACKAGE).as_posix()
            passed.setdefault((name, code.co_qualname))

    sys.setprofile(watch)
    pipe(PROMPT, num_inference_steps=2, generator=torch.Generator().manual_seed(0))
    sys.setprofile(None)
    order = list(passed)
    first = next(
        index for index, (_, name) in enumerate(order) if name.endswith("Transformer.forward")
    )
    rows = []
    for label, part in (("before the first forward pass", order[:first]), ("whole call", order)):
        rooms = Counter(name.split("/")[0] for name, _ in part)
        by_room = ", ".join(f"{room} {count}" for room, count in rooms.most_common())
        files = len({name for name, _ in part})
        rows.append(f"{label}: {len(part)} functions in {files} files ({by_room})")
    return "\n".join(rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--call", action="store_true", help="trace a call of the pipeline")
    sys.stdout.write(f"{trace() if parser.parse_args().call else report(PACKAGE)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
