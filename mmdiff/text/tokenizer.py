"""A sub-word tokenizer trained on the captions: byte-level, so that it takes any string."""

from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

PAD_TOKEN = "<pad>"
EOS_TOKEN = "</s>"
NUM_BYTES = 256


def train_tokenizer(captions: Iterable[str], vocab_size: int = 1024) -> PreTrainedTokenizerFast:
    """Byte-pair encoding over bytes (Sennrich et al. 2016; bytes as in GPT-2), trained on
    `captions`.

    Words of the captions become single tokens; anything else falls back to pieces and bytes, so
    there is no unknown token and decoding gives the string back. Every prompt ends with the end
    token: the empty prompt is one token. The vocabulary can turn out smaller than `vocab_size`
    where the captions hold fewer pieces. The same captions in the same order give the same
    tokenizer.

    Raises ValueError where `vocab_size` cannot hold the bytes and the two special tokens.
    """
    smallest = NUM_BYTES + 2
    if vocab_size < smallest:
        raise ValueError(
            f"vocab_size is {vocab_size}; "
            f"the 256 bytes and two special tokens need at least {smallest}"
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[PAD_TOKEN, EOS_TOKEN],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(captions, trainer)
    end = (EOS_TOKEN, tokenizer.token_to_id(EOS_TOKEN))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {EOS_TOKEN}", special_tokens=[end]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD_TOKEN,
        eos_token=EOS_TOKEN,
        padding_side="right",
        truncation_side="right",
        clean_up_tokenization_spaces=False,
    )
