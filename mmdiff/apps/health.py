"""What can be wrong with an installation, each thing one check with a hint."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version
from pathlib import Path
from typing import Literal

_SIGNS = {"ok": "ok     ", "note": "note   ", "broken": "BROKEN "}


@dataclass(frozen=True)
class Finding:
    """One line of the report: `ok`, `note` (works, worth knowing) or `broken`, with a hint."""

    name: str
    state: Literal["ok", "note", "broken"]
    text: str
    hint: str = ""

    def __str__(self) -> str:
        hint = f"\n         hint: {self.hint}" if self.hint else ""
        return f"{_SIGNS[self.state]} {self.name:<14} {self.text}{hint}\n"


def findings(checkpoint: str | None, folder: Path, min_free_gigabytes: float) -> Iterator[Finding]:
    yield from python_and_packages()
    yield torch_and_torchaudio()
    yield codecs()
    yield from disk(folder, min_free_gigabytes)
    yield accelerator()
    yield model(checkpoint)


def python_and_packages() -> Iterator[Finding]:
    """Python, and every installed version against the pins of this package."""
    from packaging.requirements import Requirement

    yield Finding("python", "ok", ".".join(map(str, sys.version_info[:3])))
    pins = requirements()
    if not pins:
        hint = "pip install -e . (in the checkout): pins are known then and `mmdiff` is a command"
        yield Finding("mmdiff", "note", "not installed, running from its folder", hint)
    for pin in map(Requirement, pins):
        hint = f'pip install "{pin.name}{pin.specifier}"'
        try:
            installed = version(pin.name)
        except PackageNotFoundError:
            yield Finding(pin.name, "broken", "not installed", hint)
            continue
        if pin.specifier.contains(installed.split("+")[0], prereleases=True):
            yield Finding(pin.name, "ok", installed)
        else:
            text = f"{installed}; mmdiff needs {pin.specifier}"
            yield Finding(pin.name, "broken", text, hint)


def torch_and_torchaudio() -> Finding:
    """Whether the installed torchaudio imports beside the installed torch.

    Their version numbers do not say so: torchaudio 2.11.1 asks for torch>=2.11, and imports beside
    2.13 and newer. It also needs a torch of its own build (for the CPU, or for one CUDA).
    """
    try:
        pair = f"torch {version('torch')} beside torchaudio {version('torchaudio')}"
        import_module("torchaudio")
    except PackageNotFoundError as error:
        return Finding("torch pair", "broken", f"{error.name} is not installed", _torch_hint())
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        text = f"{pair} does not import: {_reason(error)}"
        return Finding("torch pair", "broken", text, _torch_hint())
    return Finding("torch pair", "ok", pair)


def _torch_hint() -> str:
    """The command that installs both of one build, as far as mmdiff allows them."""
    pins = [pin for pin in requirements() if pin.startswith("torch")]
    both = " ".join(f'"{pin}"' for pin in pins) or "torch torchaudio"
    return f"pip install --upgrade --force-reinstall {both}"


def requirements() -> list[str]:
    """What mmdiff needs, as its metadata say; nothing where it runs without being installed."""
    try:
        return [pin for pin in requires("mmdiff") or [] if "extra ==" not in pin]
    except PackageNotFoundError:
        return []


def is_import_failure(error: BaseException | None) -> bool:
    """Whether `error`, or what caused it, is a module or a shared library that does not load."""
    while error is not None:
        # What a file system refuses has a number, what the loader of libraries refuses has none.
        if isinstance(error, ImportError) or (type(error) is OSError and error.errno is None):
            return True
        error = error.__cause__ or error.__context__
    return False


def broken_parts(error: BaseException) -> list[Finding]:
    """What is broken among the installed packages that `error` stopped at, each with a hint."""
    checks = [*python_and_packages(), torch_and_torchaudio(), codecs()]
    broken = [finding for finding in checks if finding.state == "broken"]
    if not broken and (name := _failing_package(error)) != "mmdiff":
        hint = f"pip install --force-reinstall {' '.join(packages_distributions().get(name, []))}"
        broken = [Finding(name, "broken", f"does not import: {_reason(error)}", hint)]
    return broken


def _failing_package(error: BaseException) -> str:
    """The package whose file the import stopped in, or that has no such file."""
    root = error
    while cause := root.__cause__ or root.__context__:
        root = cause
    if isinstance(root, ModuleNotFoundError) and root.name:
        return root.name.split(".")[0]
    frame = root.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return str(frame.tb_frame.f_globals.get("__name__", "")).split(".")[0] if frame else ""


def _reason(error: BaseException) -> str:
    """One line: of what stopped an import the first cause, of other errors their own words."""
    while is_import_failure(error) and (cause := error.__cause__ or error.__context__):
        error = cause
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def codecs() -> Finding:
    """PyAV brings its own FFmpeg; H.264 and AAC must be in it."""
    try:
        av = import_module("av")
    except (ImportError, OSError) as error:
        hint = 'pip install --force-reinstall "av>=18"'
        return Finding("codecs", "broken", f"PyAV does not import: {error}", hint)
    missing = []
    for codec in ("libx264", "aac"):
        try:
            av.codec.Codec(codec, "w")
        except ValueError:
            missing.append(codec)
    if missing:
        hint = 'pip install --force-reinstall --only-binary av "av>=18"'
        return Finding("codecs", "broken", f"PyAV {av.__version__} lacks {missing}", hint)
    ffmpeg = getattr(av, "ffmpeg_version_info", "")
    return Finding("codecs", "ok", f"PyAV {av.__version__}, FFmpeg {ffmpeg}, H.264 and AAC")


def disk(folder: Path, min_free_gigabytes: float) -> Iterator[Finding]:
    """Space and right to write where runs go, and shared memory for the workers of loaders."""
    existing = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    free = shutil.disk_usage(existing).free / 1e9
    if not os.access(existing, os.W_OK):
        hint = "set output_dir= to a folder that you may write"
        yield Finding("disk", "broken", f"{existing} cannot be written", hint)
    elif free < min_free_gigabytes:
        hint = "free some space, or set output_dir= to another disk"
        yield Finding("disk", "note", f"{free:.1f} GB free in {existing}", hint)
    else:
        yield Finding("disk", "ok", f"{free:.0f} GB free in {existing}")
    yield Finding("TMPDIR", "ok", tempfile.gettempdir())
    shared = Path("/dev/shm")
    if shared.is_dir() and (size := shutil.disk_usage(shared).free / 1e6) < 64:
        hint = "start the container with --shm-size=1g, or use data.num_workers=0"
        yield Finding("/dev/shm", "note", f"{size:.0f} MB: too little for data workers", hint)


def accelerator() -> Finding:
    try:
        torch = import_module("torch")
    except (ImportError, OSError) as error:
        text = f"torch does not import: {_reason(error)}"
        return Finding("device", "broken", text, _torch_hint())
    if not torch.cuda.is_available():
        return Finding("device", "ok", f"no GPU; CPU with {torch.get_num_threads()} threads")
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    memory = torch.cuda.get_device_properties(0).total_memory / 2**30
    text = f"{', '.join(names)} ({memory:.0f} GiB), CUDA {torch.version.cuda}"
    return Finding("device", "ok", text)


def model(checkpoint: str | None) -> Finding:
    """Whether the model loads through the strict loader, with the digest of its weights."""
    from mmdiff.loading.digest import sha256_of_all

    name = "bundled model" if checkpoint is None else "model"
    hint = "reinstall mmdiff" if checkpoint is None else "export the pipeline folder anew"
    try:
        pipeline = import_module("mmdiff.pipelines.pipeline").MMDiffPipeline
        folder = import_module("mmdiff.loading.folder").pipeline_folder(checkpoint)
        pipeline.from_pretrained(folder)
    except (ImportError, OSError, ValueError, RuntimeError, AttributeError) as error:
        return Finding(name, "broken", _reason(error), hint)
    files = sorted(Path(folder).rglob("*.safetensors"))
    size = sum(file.stat().st_size for file in files) / 1e6
    digest = sha256_of_all(files)[:16]
    return Finding(name, "ok", f"{len(files)} files, {size:.1f} MB, sha256 {digest}")
