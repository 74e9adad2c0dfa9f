import pytest

from mmdiff.text.tokenizer import train_tokenizer

CAPTIONS = [
    f"a {size} {color} circle bouncing on a black background, {sound} at each bounce"
    for size in ("small", "large")
    for color in ("red", "green", "blue")
    for sound in ("a high ping", "a low thud")
]

ANY_STRING = [
    "",
    " ",
    "a small red circle",
    "  two  spaces\tand a tab\n",
    "\x00 NUL",
    "emoji \U0001f600 and עברית, 漢字",
    "</s> <pad> spelt out",
    "x" * 3000,
]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(CAPTIONS, 400)


@pytest.mark.parametrize("text", ANY_STRING)
def test_decode_inverts_encode_for_any_string(tokenizer, text):
    token_ids = tokenizer(text, add_special_tokens=False, split_special_tokens=True).input_ids
    assert tokenizer.decode(token_ids).removeprefix(" ") == text.removeprefix(" ")
    assert all(0 <= token_id < len(tokenizer) for token_id in token_ids)


def test_words_of_the_captions_are_single_tokens(tokenizer):
    for word in ("red", "small", "circle", "bouncing", "background"):
        assert len(tokenizer(word, add_special_tokens=False).input_ids) == 1


def test_every_prompt_ends_with_the_end_token(tokenizer):
    assert tokenizer("").input_ids == [tokenizer.eos_token_id]
    assert tokenizer("a red circle").input_ids[-1] == tokenizer.eos_token_id
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id) == (0, 1)


def test_same_captions_give_the_same_tokenizer(tokenizer):
    again = train_tokenizer(iter(CAPTIONS), 400)
    assert again.get_vocab() == tokenizer.get_vocab()


def test_saved_and_loaded_it_is_the_same(tokenizer, tmp_path):
    from transformers import AutoTokenizer

    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    for text in ANY_STRING + CAPTIONS:
        assert loaded(text).input_ids == tokenizer(text).input_ids
    assert loaded("", return_tensors="pt").input_ids.shape == (1, 1)


def test_too_small_a_vocabulary_is_refused():
    with pytest.raises(ValueError, match=r"vocab_size is 100.*at least 258"):
        train_tokenizer(CAPTIONS, 100)
