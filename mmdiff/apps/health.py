"""What can be wrong with an installation, each thing one check with the cure of it."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal

from mmdiff.media.file_digest import sha256_of_all


@dataclass(frozen=True)
class Finding:
    """One line of the report: `ok`, `note` (works, worth knowing) or `broken`, with the cure."""

    name: str
    state: Literal["ok", "note", "broken"]
    text: str
    cure: str = ""


def python_and_packages() -> Iterator[Finding]:
    """Python, and every installed version against the pins of this package."""
    current = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < (3, 11):  # noqa: UP036
        cure = "make an environment with Python 3.11 or newer"
        yield Finding("python", "broken", f"{current}; mmdiff needs 3.11", cure)
    else:
        yield Finding("python", "ok", current)
    try:
        pins = requires("mmdiff") or []
    except PackageNotFoundError:
        cure = (
            "pip install -e . (in the checkout), so that pins are known and `mmdiff` is a command"
        )
        yield Finding("mmdiff", "note", "not installed, running from its folder", cure)
        return
    for pin in pins:
        if "extra ==" not in pin:
            yield pinned_package(pin)


def pinned_package(pin: str) -> Finding:
    from packaging.requirements import Requirement

    requirement = Requirement(pin)
    cure = f'pip install "{requirement.name}{requirement.specifier}"'
    try:
        installed = version(requirement.name)
    except PackageNotFoundError:
        return Finding(requirement.name, "broken", "not installed", cure)
    if not requirement.specifier.contains(installed.split("+")[0], prereleases=True):
        text = f"{installed}; mmdiff needs {requirement.specifier}"
        return Finding(requirement.name, "broken", text, cure)
    return Finding(requirement.name, "ok", installed)


def torch_and_torchaudio(torch_version: str = "", torchaudio_version: str = "") -> Finding:
    """The two must be of one release and one build; otherwise importing either breaks much else."""
    try:
        torch_version = torch_version or version("torch")
        torchaudio_version = torchaudio_version or version("torchaudio")
    except PackageNotFoundError as error:
        cure = 'pip install "torch>=2.11,<2.12" "torchaudio>=2.11,<2.12"'
        return Finding("torch pair", "broken", f"{error.name} is not installed", cure)
    release = torch_version.split("+")[0]
    pair = f"torch {torch_version} beside torchaudio {torchaudio_version}"
    cure = f'pip install --force-reinstall "torch=={release}" "torchaudio=={release}"'
    if release.split(".")[:2] != torchaudio_version.split("+")[0].split(".")[:2]:
        return Finding("torch pair", "broken", f"{pair}: of two releases", cure)
    try:
        import_module("torchaudio")
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return Finding("torch pair", "broken", f"{pair} does not import: {reason}", cure)
    return Finding("torch pair", "ok", pair)


def codecs() -> Finding:
    """PyAV brings its own FFmpeg; H.264 and AAC must be in it."""
    try:
        av = import_module("av")
    except (ImportError, OSError) as error:
        cure = 'pip install --force-reinstall "av>=18"'
        return Finding("codecs", "broken", f"PyAV does not import: {error}", cure)
    missing = []
    for codec in ("libx264", "aac"):
        try:
            av.codec.Codec(codec, "w")
        except ValueError:
            missing.append(codec)
    if missing:
        cure = 'pip install --force-reinstall --only-binary av "av>=18"'
        return Finding("codecs", "broken", f"PyAV {av.__version__} lacks {missing}", cure)
    ffmpeg = getattr(av, "ffmpeg_version_info", "")
    return Finding("codecs", "ok", f"PyAV {av.__version__}, FFmpeg {ffmpeg}, H.264 and AAC")


def disk(folder: Path, min_free_gigabytes: float) -> Iterator[Finding]:
    """Space and right to write where runs go; whether temporary files are on another filesystem."""
    existing = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    free = shutil.disk_usage(existing).free / 1e9
    if not os.access(existing, os.W_OK):
        cure = "set output_dir= to a folder that you may write"
        yield Finding("disk", "broken", f"{existing} cannot be written", cure)
    elif free < min_free_gigabytes:
        cure = "free some space, or set output_dir= to another disk"
        yield Finding("disk", "note", f"{free:.1f} GB free in {existing}", cure)
    else:
        yield Finding("disk", "ok", f"{free:.0f} GB free in {existing}")
    temporary = Path(tempfile.gettempdir())
    same = temporary.stat().st_dev == existing.stat().st_dev
    where = "same filesystem as" if same else "another filesystem than"
    # mmdiff writes its temporary files beside their targets, so either is safe.
    yield Finding("TMPDIR", "ok", f"{temporary}, {where} {existing}")
    shared = Path("/dev/shm")
    if shared.is_dir() and (size := shutil.disk_usage(shared).free / 1e6) < 64:
        cure = "start the container with --shm-size=1g, or use data.num_workers=0"
        yield Finding("/dev/shm", "note", f"{size:.0f} MB: too little for data workers", cure)


def accelerator() -> Finding:
    try:
        torch = import_module("torch")
    except (ImportError, OSError) as error:
        cure = 'pip install --force-reinstall "torch>=2.11,<2.12"'
        return Finding("device", "broken", f"torch does not import: {error}", cure)
    threads = torch.get_num_threads()
    if not torch.cuda.is_available():
        return Finding("device", "ok", f"no GPU; CPU with {threads} threads")
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    memory = torch.cuda.get_device_properties(0).total_memory / 2**30
    return Finding(
        "device", "ok", f"{', '.join(names)} ({memory:.0f} GiB), CUDA {torch.version.cuda}"
    )


def model(checkpoint: str | None) -> Finding:
    """Whether the model loads through the strict loader, with the digest of its weights."""
    name = "bundled model" if checkpoint is None else "model"
    cure = "reinstall mmdiff" if checkpoint is None else "export the pipeline folder anew"
    try:
        pipeline = import_module("mmdiff.pipelines.pipeline").MMDiffPipeline
        folder = import_module("mmdiff.pipelines.folder").pipeline_folder(checkpoint)
        pipeline.from_pretrained(folder)
    except (ImportError, OSError, ValueError, RuntimeError, AttributeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return Finding(name, "broken", reason, cure)
    files = sorted(Path(folder).rglob("*.safetensors"))
    size = sum(file.stat().st_size for file in files) / 1e6
    digest = sha256_of_all(files)[:16]
    return Finding(name, "ok", f"{len(files)} files, {size:.1f} MB, sha256 {digest}")
