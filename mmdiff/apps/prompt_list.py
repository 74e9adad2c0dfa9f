"""The prompts of a run: one from the command line, or a file with one a line."""

from pathlib import Path

from mmdiff.apps.usage_error import UsageError, nearest


def read_prompts(prompt: str | None, prompts: str | None) -> list[str]:
    """The prompts asked for; UsageError when none, both, or an unreadable file was given."""
    if prompt is not None and prompts is not None:
        raise UsageError("prompt and prompts are both set", cure="give one of them")
    if prompt is not None:
        return [_text(prompt, "prompt")]
    if prompts is None:
        raise UsageError(
            "there is no prompt",
            belongs="prompt is in conf/generate.yaml",
            cure='prompt="a small red circle bouncing up and down", or prompts=file.txt',
        )
    return _read_lines(Path(prompts))


def _read_lines(path: Path) -> list[str]:
    if not path.is_file():
        near = nearest(path.name, [p.name for p in _files_beside(path)])
        raise UsageError(
            f"prompts={path} is not a file",
            got=f"prompts={path}",
            nearest=str(path.with_name(near)) if near else "",
            cure="a text file with one prompt a line",
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"prompts={path} is not UTF-8 text (byte {error.start})", cure="save it as UTF-8"
        ) from error
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise UsageError(f"prompts={path} holds no prompt", cure="write one prompt a line")
    return [_text(line, f"line {number} of {path}") for number, line in enumerate(lines, 1)]


def _files_beside(path: Path) -> list[Path]:
    return list(path.parent.iterdir()) if path.parent.is_dir() else []


def _text(prompt: str, name: str) -> str:
    try:
        prompt.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UsageError(
            f"{name} is not valid text (character {error.start})", cure="give it as UTF-8"
        ) from error
    return prompt
