"""Captions read once by a frozen text encoder are what it would read again."""

from pathlib import Path

import pytest
import torch

from mmdiff.data.context_cache import ContextCache, fill_contexts
from mmdiff.data.latent_cache import StaleCache
from mmdiff.text.encoder import encode_prompts, small_text_encoder
from mmdiff.text.pretrained import saved_text_encoder
from mmdiff.text.tokenizer import train_tokenizer

CAPTIONS = ["a red circle", "a blue square on a black background", "no sound"]


def _save_text(folder: Path, seed: int) -> str:
    torch.manual_seed(seed)
    tokenizer = train_tokenizer(CAPTIONS, 300)
    encoder = small_text_encoder(
        len(tokenizer), d_model=16, num_layers=1, num_heads=2, d_kv=8, d_ff=16
    )
    tokenizer.save_pretrained(folder / "tokenizer")
    encoder.save_pretrained(folder / "text_encoder")
    return str(folder)


@pytest.fixture
def text(tmp_path: Path) -> str:
    return _save_text(tmp_path / "text", seed=0)


def test_contexts_are_what_the_encoder_reads(tmp_path: Path, text: str) -> None:
    fill_contexts(tmp_path / "cache", CAPTIONS, text=text, precision="float32", batch_size=2)
    ours = ContextCache(tmp_path / "cache", text=text).context(["", *CAPTIONS])
    tokenizer, encoder = saved_text_encoder(text)
    with torch.no_grad():
        theirs = encode_prompts(tokenizer, encoder.eval(), ["", *CAPTIONS], max_length=64)
    assert torch.equal(ours.mask, theirs.mask)
    torch.testing.assert_close(ours.tokens, theirs.tokens, rtol=1e-5, atol=1e-6)


def test_only_what_is_missing_is_read(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    fill_contexts(tmp_path / "cache", CAPTIONS[:2], text=text)
    before = ContextCache(tmp_path / "cache")[CAPTIONS[0]]
    fill_contexts(tmp_path / "cache", CAPTIONS, text=text)
    assert "4 captions" in caplog.text and "1 of them new" in caplog.text
    assert torch.equal(ContextCache(tmp_path / "cache")[CAPTIONS[0]], before)


def test_v6_another_caption_or_encoder_is_never_served(tmp_path: Path, text: str) -> None:
    cache = tmp_path / "cache"
    with pytest.raises(StaleCache, match="no contexts; fill it with `mmdiff encode text_folder="):
        ContextCache(cache)
    fill_contexts(cache, CAPTIONS, text=text)
    with pytest.raises(StaleCache, match="the caption 'a red circle!' is not in"):
        ContextCache(cache)["a red circle!"]
    other = _save_text(tmp_path / "other", seed=1)
    with pytest.raises(StaleCache, match="not made by the text encoder in"):
        ContextCache(cache, text=other)
    before = ContextCache(cache)[CAPTIONS[0]]
    fill_contexts(cache, CAPTIONS, text=other)
    assert not torch.equal(ContextCache(cache, text=other)[CAPTIONS[0]], before)


def test_v7_damaged_contexts_are_refused(tmp_path: Path, text: str) -> None:
    cache = tmp_path / "cache"
    fill_contexts(cache, CAPTIONS, text=text)
    path = cache / "contexts.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(StaleCache, match="is damaged"):
        ContextCache(cache)


def test_v7_no_flipped_bit_of_the_places_is_believed(tmp_path: Path, text: str) -> None:
    cache = tmp_path / "cache"
    fill_contexts(cache, CAPTIONS, text=text)
    before = ContextCache(cache)[CAPTIONS[0]]
    path = cache / "contexts.json"
    content, cures = path.read_bytes(), set()
    for place in range(0, 8 * len(content), 61):
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(bytes(flipped))
        try:
            after = ContextCache(cache)[CAPTIONS[0]]
        except StaleCache as error:
            cures.add("mmdiff encode" in str(error))
            continue
        assert torch.equal(after, before)
    assert cures == {True}
