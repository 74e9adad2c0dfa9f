"""The context cache: captions as a frozen text encoder reads them, read once for all epochs.

    contexts.safetensors    tokens  l d  of all captions, one behind the other
    contexts.json           schema, digest of the encoder and its tokenizer, where each
                            caption lies, sha256 of the tensors; written after them

A caption is found by its words, so an edited one is never taken for what it was.
"""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from mmdiff.data.checksummed_json import StaleCache, digest_of, read_checksummed, write_checksummed
from mmdiff.data.latent_cache import component_digest, precision_of
from mmdiff.loading.digest import sha256_of
from mmdiff.media.atomic import atomic_write
from mmdiff.text.encoder import encode_prompts
from mmdiff.text.pretrained import pretrained_text_encoder, text_folders
from mmdiff.values.context import Context
from mmdiff.values.file_path import FilePath

_log = logging.getLogger(__name__)
SCHEMA = 3


class ContextCache:
    """What `fill_contexts` left in `folder`.

    Raises StaleCache where there is nothing, where it is damaged, or where another text encoder
    (`text`: as for `text_folders`) made it.
    """

    def __init__(self, folder: str | Path, *, text: FilePath | None = None) -> None:
        self.path = Path(folder) / "contexts.safetensors"
        facts = _facts(Path(folder))
        if facts is None:
            raise StaleCache(
                f"{folder} holds no contexts; fill it with `mmdiff encode text_folder=FOLDER`"
            )
        if text is not None and facts["encoder"] != text_digest(text):
            raise StaleCache(
                f"the contexts in {folder} were not made by the text encoder in {text}; "
                f"run `mmdiff encode text_folder={text}`"
            )
        if not self.path.is_file() or sha256_of(self.path) != facts["sha256"]:
            raise StaleCache(f"{self.path} is damaged; delete it and run `mmdiff encode` again")
        self.spans: dict[str, list[int]] = facts["captions"]

    def __getitem__(self, caption: str) -> torch.Tensor:
        """l d, of one caption; StaleCache if it was never encoded."""
        return self._read([caption])[0]

    def context(self, captions: Sequence[str]) -> Context:
        """Of a batch, padded to the longest, in fp32."""
        rows = [row.float() for row in self._read(captions)]
        return Context.cat(
            [Context(row[None], torch.ones(1, len(row), dtype=torch.bool)) for row in rows]
        )

    def _read(self, captions: Sequence[str]) -> list[torch.Tensor]:
        """The rows of several captions, with the file opened once."""
        for caption in captions:
            if caption not in self.spans:
                raise StaleCache(
                    f"the caption {caption[:80]!r} is not in {self.path.parent}; "
                    "run `mmdiff encode` again, or train without drawing captions anew"
                )
        with safe_open(self.path, framework="pt") as file:
            tokens = file.get_slice("tokens")
            return [tokens[slice(*self.spans[caption])] for caption in captions]


def fill_contexts(
    folder: str | Path,
    captions: Iterable[str],
    *,
    text: str,
    batch_size: int = 32,
    device: str = "cpu",
    precision: str = "float16",
) -> None:
    """Encode what is not there of `captions` and the empty one; the rest is kept.

    text: a text encoder and its tokenizer, as for `text_folders`.
    """
    folder = Path(folder)
    encoder_digest = text_digest(text)
    wanted = list(dict.fromkeys(["", *captions]))  # "" is what dropped captions become
    facts = _facts(folder)
    known: dict[str, torch.Tensor] = {}
    if facts is not None and facts["encoder"] == encoder_digest:
        before = ContextCache(folder)
        captions_before = list(before.spans)
        known = dict(zip(captions_before, before._read(captions_before), strict=True))
    missing = [caption for caption in wanted if caption not in known]
    if not missing:
        return
    tokenizer, encoder = pretrained_text_encoder(text)
    encoder.to(device)  # type: ignore[arg-type]
    for first in range(0, len(missing), batch_size):
        part = missing[first : first + batch_size]
        with torch.no_grad():
            context = encode_prompts(tokenizer, encoder, part)
        for caption, tokens, mask in zip(part, context.tokens, context.mask, strict=True):
            known[caption] = tokens[mask].to("cpu", precision_of(precision))
    _write(folder, known, encoder_digest)
    _log.info("%d captions in %s, %d of them new", len(known), folder, len(missing))


def text_digest(text: str) -> str:
    """Of a text encoder and its tokenizer, which says where captions are cut."""
    tokenizer, encoder = text_folders(text)
    files = sorted(tokenizer.glob("*.json"))
    return digest_of(component_digest(encoder), [[path.name, sha256_of(path)] for path in files])


def _facts(folder: Path) -> dict[str, Any] | None:
    path = folder / "contexts.json"
    if not path.is_file():
        return None
    hint = f"delete {path.name} and run `mmdiff encode` again"
    return read_checksummed(path, schema=SCHEMA, hint=hint)


def _write(folder: Path, known: dict[str, torch.Tensor], encoder_digest: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    spans, first = {}, 0
    for caption, tokens in known.items():
        spans[caption] = [first, first + len(tokens)]
        first += len(tokens)
    with atomic_write(folder / "contexts.safetensors") as path:
        save_file({"tokens": torch.cat(list(known.values()))}, path)
        sha256 = sha256_of(path)
    document = {"schema": SCHEMA, "encoder": encoder_digest, "sha256": sha256, "captions": spans}
    write_checksummed(folder / "contexts.json", document)
