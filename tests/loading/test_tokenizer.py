"""Tokenizers: those of released encoders load, whatever their size; patterns are judged right."""

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from mmdiff.loading.tokenizer import pattern_fault
from mmdiff.text.pretrained import saved_tokenizer

MARK = "\u2581"
PATTERNS = {  # as the tokenizers of released encoders have them
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "clip": r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]"
    r"|[^\s\p{L}\p{N}]+",
    "qwen": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "llama": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "o200k": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+",
    "spaces": r" {2,}",
}


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
def test_patterns_of_released_tokenizers_are_taken(pattern: str) -> None:
    assert pattern_fault(pattern) is None


@pytest.mark.parametrize(
    "pattern",
    [
        *(r"(a+)+$", r"(a*)*b", r"(a|a)*b", r"(?:a|ab)+c", r"((a))*", r"([a-z]+){10}", r"(a){2,}"),
        *(r"(a)\1", r"\k<x>", r"a*a*a*b", r"\s*\s+\s*x", r"[a(]*(b[)]+)*", r"(?<x>a)", r"(?>a+)"),
        *(r"a{9}{9}{9}", r"a**", "x" * 3000),
    ],
)
def test_patterns_that_may_take_more_than_quadratic_time_are_not(pattern: str) -> None:
    assert pattern_fault(pattern) is not None


def gemma() -> tuple[dict[str, Any], list[Any], int]:
    """262,144 entries: byte-pair encoding over texts with a mark for each space, and merges."""
    tokenizer = Tokenizer(models.BPE({"<pad>": 0, "</s>": 1, "<unk>": 2}, [], unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Replace(" ", MARK)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(MARK, " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    alphabet = [chr(0x4E00 + index) for index in range(512)]
    merges = [[one, other] for one in alphabet for other in alphabet][: 262_144 - 515]
    names = ["<pad>", "</s>", "<unk>", *alphabet, *map("".join, merges)]
    content = json.loads(tokenizer.to_str())
    content["model"] |= {"vocab": {name: i for i, name in enumerate(names)}, "merges": merges}
    return content, [chr(0x4E00) + chr(0x4E01)], 516


def umt5() -> tuple[dict[str, Any], list[Any], int]:
    """256,000 entries: unigrams with their scores, and two normalizers."""
    names = ["<pad>", "</s>", "<unk>", *(f"{MARK}{index:x}" for index in range(256_000 - 3))]
    tokenizer = Tokenizer(models.Unigram([("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)], unk_id=2))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), MARK)]
    )
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    content = json.loads(tokenizer.to_str())
    content["model"]["vocab"] = [[name, -1.0] for name in names]
    return content, ["3e7"], 3 + 0x3E7


@pytest.mark.parametrize(("made", "num_tokens"), [(gemma, 262_144), (umt5, 256_000)])
def test_tokenizers_of_released_sizes_load(tmp_path: Path, made: Any, num_tokens: int) -> None:
    content, words, number = made()
    assert len(content["model"]["vocab"]) == num_tokens
    end = Tokenizer(models.BPE({"</s>": 1}, []))
    end.post_processor = processors.TemplateProcessing("$A </s>", None, [("</s>", 1)])
    content["post_processor"] = json.loads(end.to_str())["post_processor"]
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    extra = [f"<extra_{index}>" for index in range(300)]
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "additional_special_tokens": extra}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings | {"pad_token": "<pad>"}))
    tokenizer = saved_tokenizer(tmp_path)
    assert len(tokenizer) == num_tokens + 300
    assert tokenizer(words).input_ids == [[number, 1]]
