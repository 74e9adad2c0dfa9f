import warnings

import pytest
import torch

from mmdiff.text.encoder import encode_prompts, small_text_encoder
from mmdiff.text.tokenizer import train_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(["a small red circle", "a large blue square moving left"] * 4, 300)


@pytest.fixture(scope="module")
def text_encoder(tokenizer):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = small_text_encoder(
            len(tokenizer), d_model=32, num_layers=2, num_heads=2, d_kv=16, d_ff=64
        )
    return model.eval()


def test_a_prompt_is_the_same_alone_and_in_a_batch(tokenizer, text_encoder):
    prompts = ["a small red circle", "", "a large blue square moving left and right"]
    batch = encode_prompts(tokenizer, text_encoder, prompts, max_length=64)
    assert batch.tokens.shape[:2] == batch.mask.shape
    assert batch.mask.dtype == torch.bool
    for row, prompt in enumerate(prompts):
        alone = encode_prompts(tokenizer, text_encoder, [prompt], max_length=64)
        length = alone.tokens.shape[1]
        assert alone.mask.all()
        assert int(batch.mask[row].sum()) == length
        torch.testing.assert_close(
            batch.tokens[row, :length], alone.tokens[0], atol=1e-5, rtol=1e-5
        )
        assert (batch.tokens[row, length:] == 0).all()


def test_the_empty_prompt_is_one_valid_token(tokenizer, text_encoder):
    context = encode_prompts(tokenizer, text_encoder, [""], max_length=8)
    assert context.tokens.shape == (1, 1, 32)
    assert context.mask.all()
    assert torch.isfinite(context.tokens).all()


def test_gradients_reach_the_encoder(tokenizer, text_encoder):
    context = encode_prompts(tokenizer, text_encoder, ["a red circle"], max_length=8)
    gradient = torch.autograd.grad(context.tokens.square().sum(), text_encoder.shared.weight)[0]
    assert gradient.abs().sum() > 0


def test_a_long_prompt_is_cut_and_the_cut_text_is_shown(tokenizer, text_encoder):
    prompt = "a small red circle " * 10 + "moving left"
    with pytest.warns(UserWarning, match=r"longer than 8 tokens; not read: .*circle"):
        context = encode_prompts(tokenizer, text_encoder, ["a", prompt], max_length=8)
    assert context.tokens.shape[1] == 8
    with pytest.warns(UserWarning, match=r"not read"):
        encode_prompts(tokenizer, text_encoder, ["x" * 10_000_000], max_length=8)


def test_a_prompt_that_just_fits_is_not_warned_about(tokenizer, text_encoder):
    length = len(tokenizer("a small red circle").input_ids)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        context = encode_prompts(tokenizer, text_encoder, ["a small red circle"], max_length=length)
    assert context.tokens.shape[1] == length


@pytest.mark.parametrize(
    ("prompts", "error", "text"),
    [
        (["a", 3], TypeError, r"prompts\[1\] is a int"),
        ([], ValueError, "empty list"),
        (["\ud800"], ValueError, "not valid text"),
    ],
)
def test_what_is_no_prompt_is_refused(tokenizer, text_encoder, prompts, error, text):
    with pytest.raises(error, match=text):
        encode_prompts(tokenizer, text_encoder, prompts, max_length=8)


def test_a_tokenizer_of_another_encoder_is_refused(tokenizer):
    small = small_text_encoder(10, d_model=8, num_layers=1, num_heads=1, d_kv=8, d_ff=8)
    with pytest.raises(ValueError, match="the text encoder knows 10 tokens"):
        encode_prompts(tokenizer, small, ["a red circle"])


def test_the_default_encoder_has_about_two_million_parameters_and_round_trips(tmp_path):
    model = small_text_encoder(1024)
    assert 1_400_000 < model.num_parameters() < 2_500_000
    model.save_pretrained(tmp_path)
    loaded = type(model).from_pretrained(tmp_path)
    assert loaded.num_parameters() == model.num_parameters()
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, loaded.state_dict()[name])
