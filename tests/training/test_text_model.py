"""What a frozen encoder has read before is what it reads."""

import pytest
import torch

from mmdiff.text.encoder import encode_prompts, small_text_encoder
from mmdiff.text.tokenizer import train_tokenizer
from mmdiff.training.text_model import TextModel

CAPTIONS = ("a red circle", "a blue square", "no sound at all")
CPU = torch.device("cpu")


def _text(*, is_trained: bool) -> TextModel:
    torch.manual_seed(0)
    tokenizer = train_tokenizer(CAPTIONS, 300)
    encoder = small_text_encoder(
        len(tokenizer), d_model=16, num_layers=1, num_heads=2, d_kv=8, d_ff=16
    )
    return TextModel(tokenizer, encoder, is_trained=is_trained)


def test_a_cached_context_is_the_one_that_is_read() -> None:
    text = _text(is_trained=False)
    dropped = torch.tensor([False, True, False])
    with torch.no_grad():
        read = encode_prompts(text.tokenizer, text.text_encoder, list(CAPTIONS), max_length=64)
    cached = text.read(CAPTIONS, CPU, dropped=dropped, cached=read)
    fresh = text.read(CAPTIONS, CPU, dropped=dropped)
    assert not fresh.tokens.requires_grad
    length = fresh.mask.shape[1]
    assert torch.equal(cached.mask[:, :length], fresh.mask) and not cached.mask[:, length:].any()
    torch.testing.assert_close(cached.tokens[:, :length], fresh.tokens, rtol=1e-5, atol=1e-6)


def test_a_trained_encoder_gets_gradients_and_takes_no_cache() -> None:
    text = _text(is_trained=True)
    context = text.read(CAPTIONS, CPU)
    assert context.tokens.requires_grad
    with pytest.raises(ValueError, match="choose text=frozen"):
        text.read(CAPTIONS, CPU, cached=context)
