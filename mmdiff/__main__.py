"""mmdiff VERB key=value ...: the one command, which hands each verb to its file in apps."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from mmdiff import __version__

VERBS = {
    "generate": "make clips with sound from prompts",
    "data-check": "say what training would make of your clips, before any training",
    "train": "train an autoencoder, a vocoder or a diffusion transformer",
    "encode": "fill the latent cache that the diffusion transformer is trained on",
    "evaluate": "measure a model: adherence, sync, reconstruction",
    "export": "turn training runs into a pipeline folder",
    "doctor": "check the installation and say how to mend it",
}


def overview() -> str:
    verbs = "\n".join(f"  {verb:<12}{meaning}" for verb, meaning in VERBS.items())
    return (
        "mmdiff VERB key=value ...\n\n"
        f"{verbs}\n\n"
        "mmdiff VERB --help shows the keys of a verb, mmdiff VERB --cfg job what would run.\n"
        'eval "$(mmdiff -sc install=bash)" completes verbs and keys in the shell.\n'
        'Example: mmdiff generate prompt="a small red circle bouncing up and down" seed=3\n'
    )


def module_of(verb: str) -> str:
    """The file of a verb: `mmdiff.apps.data_check` of data-check."""
    return f"mmdiff.apps.{verb.replace('-', '_')}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and give its exit code: 0 done, 1 failed, 2 asked for wrongly."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] in (["--help"], ["-h"], ["help"]):
        sys.stdout.write(overview())
        return 0
    if words[:1] == ["--version"]:
        sys.stdout.write(f"mmdiff {__version__}\n")
        return 0
    if {"-sc", "--shell-completion"} & set(words[:2]):
        return int(import_module("mmdiff.apps.verb_help").shell_completion(words))
    if not words or words[0] not in VERBS:
        sys.stderr.write(_wrong_verb(words[0] if words else None))
        return 2
    try:
        return int(import_module(module_of(words[0])).main(words[1:]))
    except (ImportError, OSError, RuntimeError) as error:
        screen = _broken_installation(words[0], error)
        if screen is None:
            raise
        sys.stderr.write(screen)
        return 1


def _broken_installation(verb: str, error: BaseException) -> str | None:
    """One screen for a library that does not import: what is broken, and a hint; else None."""
    from mmdiff.apps.health import broken_parts, is_import_failure

    if os.environ.get("HYDRA_FULL_ERROR", "0") not in ("", "0") or not is_import_failure(error):
        return None
    findings = broken_parts(error)
    if not findings:
        return None
    return f"mmdiff {verb}: this installation is broken\n\n{''.join(map(str, findings))}"


def _wrong_verb(word: str | None) -> str:
    if word is None:
        return overview()
    from difflib import get_close_matches

    near = get_close_matches(word, VERBS, n=1, cutoff=0.4)
    advice = f"the nearest is `mmdiff {near[0]}`" if near else "see the list below"
    if "=" in word:
        advice = f"the verb comes first: mmdiff generate {word.split('=', 1)[0]}=..."
    return f"mmdiff: there is no verb {word!r}; {advice}.\n\n{overview()}"


if __name__ == "__main__":
    sys.exit(main())
