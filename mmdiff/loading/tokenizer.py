"""The files of a tokenizer: what could swell a short prompt, or never be done with it, is refused.

A tokenizer.json is a small program: normalizers replace text by text, templates add tokens,
patterns are searched by backtracking. Each step here has a bound of how much longer it makes a
text, and they multiply.
"""

import base64
import binascii
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmdiff.loading.allowed import is_tokenizer
from mmdiff.loading.json_file import HINT, CheckpointError
from mmdiff.loading.settings import read_settings, refused_faults

MOST_GROWTH = 64.0  # times; T5's normalizers and Metaspace together have 12
MOST_STEPS = 64
MOST_ADDED_TOKENS = 2**14  # each costs 0.1 ms to load; Gemma has 6,415
MOST_EXTRA_TOKENS = 2**10  # of which transformers compares each with all others; UMT5 has 300
LONGEST_TOKEN = 1024  # characters
LONGEST_PATTERN = 2000
VOCABULARIES = ("tokenizer.json", "vocab.json", "vocab.txt")
FILES_NAMED = ("tokenizer_file", "vocab_file", "merges_file", "gguf_file", "fast_tokenizer_files")
CHILDREN = ("normalizers", "pretokenizers", "processors", "decoders")
# what each step may do to the bytes of a text, where that does not depend on its settings
GROWTH = {
    **dict.fromkeys(("NFC", "NFD", "NFKC", "NFKD", "Nmt", "Lowercase", "Strip", "StripAccents"), 1),
    **dict.fromkeys(("BertNormalizer", "BertPreTokenizer", "BertProcessing", "WordPiece"), 1),
    **dict.fromkeys(("Whitespace", "WhitespaceSplit", "Punctuation", "Digits", "Split"), 1),
    **dict.fromkeys(("CharDelimiterSplit", "UnicodeScripts", "FixedLength", "Sequence"), 1),
    **dict.fromkeys(("RobertaProcessing", "ByteFallback", "Fuse", "BPEDecoder", "CTC"), 1),
    **{"ByteLevel": 2, "Metaspace": 3},
}
# What of a pattern matters: sets of characters, escapes, groups, and how often something repeats.
PIECES = re.compile(
    r"(?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])|(?P<escape>\\[pPx]\{[^}]*\}|\\.)"
    r"|(?P<group>\((?:\?[imsx-]*[:=!])?)|(?P<end>\))|(?P<count>[*+?]|\{\d*,?\d*\})|(?P<or>\|)",
    re.DOTALL,
)


def check_tokenizer(folder: Path, *, root: Path | None = None) -> None:
    """CheckpointError for what `read_settings` refuses, for a class that is not known, and for
    files that would take much memory or time to build, or to read a short prompt with.

    root  the folder that links may not lead out of; None: `folder`
    """
    settings = read_settings(folder, root=root)
    if not any((folder / name).is_file() for name in VOCABULARIES):
        raise CheckpointError(
            f"{folder} holds no {' and no '.join(VOCABULARIES)}. Load the tokenizer with "
            "transformers once, and save it with save_pretrained."
        )
    faults = {"tokenizer_config.json": _faults_of_config, "tokenizer.json": _faults}
    for name, find in {**faults, "vocab.json": _faults}.items():
        with refused_faults(folder / name, "tokenizer"):
            for fault in find(settings.get(name, {})):
                raise CheckpointError(f"{folder / name}: {fault}. {HINT}")


def _faults_of_config(config: Mapping[str, Any]) -> Iterator[str]:
    name = config.get("tokenizer_class") or "TokenizersBackend"
    if not isinstance(name, str) or not is_tokenizer(name):
        yield f"tokenizer_class is {name!r}, which mmdiff does not know"
    length = config.get("model_max_length", 1)
    if not isinstance(length, int) or length < 1:
        yield f"model_max_length is {length!r}; it must be a whole number from 1 on"
    for key in FILES_NAMED:
        if config.get(key) is not None:
            yield f"{key} names a file; those beside it are read"
    extra = config.get("extra_ids", 0)
    if not isinstance(extra, int) or extra > MOST_EXTRA_TOKENS:
        yield f"extra_ids is {extra!r}; at most {MOST_EXTRA_TOKENS} are made"
    for key, value in config.items():
        is_list = key.endswith("special_tokens") and isinstance(value, (list, dict))
        if is_list and len(value) > MOST_EXTRA_TOKENS:
            yield f"{key} has {len(value)} entries; at most {MOST_EXTRA_TOKENS} are read"
    if len(config.get("added_tokens_decoder") or ()) > MOST_ADDED_TOKENS:
        yield f"added_tokens_decoder has more than {MOST_ADDED_TOKENS} entries"


def _faults(content: Mapping[str, Any]) -> Iterator[str]:
    """Of a tokenizer.json, or of a vocab.json, which is a vocabulary alone."""
    model = content.get("model", {"vocab": content})
    vocabulary = model.get("vocab", ()) if isinstance(model, dict) else ()
    longest = max((len(_token(entry)) for entry in vocabulary), default=0)
    if longest > LONGEST_TOKEN:
        yield f"an entry has {longest} characters; at most {LONGEST_TOKEN} are read"
    if len(content.get("added_tokens") or ()) > MOST_ADDED_TOKENS:
        yield f"it adds over {MOST_ADDED_TOKENS} tokens"
    for part in ("normalizer", "pre_tokenizer", "post_processor", "decoder"):
        steps = list(_steps(content.get(part)))
        if len(steps) > MOST_STEPS:
            yield f"its {part} has {len(steps)} steps; at most {MOST_STEPS} are run"
            continue
        for step in steps:
            yield from _faults_of_step(step)
        growth = math.prod(map(_growth, steps))
        if growth > MOST_GROWTH:
            yield (
                f"its {part} may make a text {growth:.3g} times longer; at most {MOST_GROWTH:g} "
                "times are possible"
            )


def _token(entry: Any) -> str:
    return str(entry[0]) if isinstance(entry, list) and entry else str(entry)


def _steps(node: Any) -> Iterator[Mapping[str, Any]]:
    """The steps of a part, one after the other; what is malformed, tokenizers refuses."""
    if isinstance(node, dict):
        yield node
        for name in CHILDREN:
            for child in node.get(name) or ():
                yield from _steps(child)


def _faults_of_step(step: Mapping[str, Any]) -> Iterator[str]:
    kind, pattern = step.get("type"), step.get("pattern")
    pattern = pattern.get("Regex", "") if isinstance(pattern, dict) else ""
    if kind not in (*GROWTH, "Replace", "Prepend", "Precompiled", "TemplateProcessing"):
        yield f"{kind!r} is no step that mmdiff knows"
    if fault := pattern_fault(str(pattern)):
        yield f"the pattern {str(pattern)[:80]!r} {fault}"


def _growth(step: Mapping[str, Any]) -> float:
    """How many times longer the step may make a text, in bytes or in tokens."""
    kind = step.get("type")
    if kind == "Replace":
        pattern = step.get("pattern")
        found = pattern.get("String") if isinstance(pattern, dict) else None
        made = len(str(step.get("content", "")).encode(errors="replace"))
        return max(1.0, made / len(found.encode(errors="replace"))) if found else 1.0 + made
    if kind == "Prepend":
        return 1.0 + len(str(step.get("prepend", "")))
    if kind == "Precompiled":
        return _longest_replacement(str(step.get("precompiled_charsmap", "")))
    if kind == "TemplateProcessing":
        return _tokens_of_template(step)
    return GROWTH.get(str(kind), math.inf)


def _longest_replacement(charsmap: str) -> float:
    """A charsmap of sentencepiece: the size of a trie, the trie, and texts that end with 0."""
    try:
        content = base64.b64decode(charsmap, validate=True)
    except (binascii.Error, ValueError):
        return math.inf
    start = 4 + int.from_bytes(content[:4], "little")
    return float(max(map(len, content[start:].split(b"\0"))))


def _tokens_of_template(step: Mapping[str, Any]) -> float:
    """Of a text that is one token; KeyError for a token that is not explained, at which tokenizers
    would end the process."""
    return float(
        sum(
            len(step["special_tokens"][piece["SpecialToken"]["id"]]["ids"])
            if "SpecialToken" in piece
            else 1
            for piece in step["single"]
        )
    )


def pattern_fault(pattern: str) -> str | None:
    """Why a search for `pattern` could take more than time quadratic in the text, or None.

    Backtracking is exponential where a repeated group repeats something inside, and a power of as
    many repetitions as follow each other: so no group is repeated, and two repetitions stand in one
    alternative at most.
    """
    if len(pattern) > LONGEST_PATTERN:
        return f"has {len(pattern)} characters"
    depth, repetitions, before = 0, 0, None
    for piece in PIECES.finditer(pattern):
        kind, text = piece.lastgroup, piece.group()
        is_adjacent = before is not None and before.end() == piece.start()
        previous = before.lastgroup if is_adjacent and before is not None else None
        if kind == "escape" and text[1] in "123456789kgK":
            return "refers back to what it found"
        if kind == "group":
            depth += 1
        elif kind == "end":
            depth -= 1
        elif kind == "or" and depth == 0:
            repetitions = 0
        elif kind == "count":
            if previous == "group":
                return f"has a group that mmdiff does not know: ({text}"
            if previous == "end" and text != "?":
                return "repeats a group"
            if previous == "count" and text not in "?+":
                return "repeats a repetition"
            repetitions += previous != "count" and text not in ("?", "{1}")
            if repetitions > 2:
                return "has three repetitions that follow each other"
        before = piece
    return None
