"""A tokenizer and a text encoder of transformers, of any family, from a folder or the hub."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForTextEncoding,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from mmdiff.loading.allowed import TEXT_ENCODERS
from mmdiff.loading.component import check_component, saved_component
from mmdiff.loading.folder import named_folder
from mmdiff.loading.json_file import CheckpointError
from mmdiff.loading.module_memory import align_weights
from mmdiff.loading.settings import read_settings, refused_faults
from mmdiff.loading.tokenizer import check_tokenizer

# what transformers hands out for classifying a whole text; tokens do not depend on it
NOT_READ = ("pooler.",)
# of models that see and read: where their language part lies
LANGUAGE_PART = {r"^(model\.)?language_model\.(model\.)?": ""}


def text_folders(name: str) -> tuple[Path, Path]:
    """The folders of the tokenizer and of the text encoder of `name`: a model of transformers, or
    what holds tokenizer/ and text_encoder/, as a pipeline and the components of a run do."""
    folder = named_folder(name, holds="a text encoder and its tokenizer")
    if (folder / "text_encoder").is_dir():
        return folder / "tokenizer", folder / "text_encoder"
    return folder, folder


def text_width(name: str) -> int:
    """Width of the tokens that the text encoder of `name` makes, from its configuration alone."""
    width: int = _text_config(text_folders(name)[1]).hidden_size
    return width


def saved_text_encoder(folder: str) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
    """The tokenizer in `folder`/tokenizer and the encoder in `folder`/text_encoder, in fp32, as
    mmdiff wrote them.

    Raises CheckpointError for files that are damaged, unsafe, or do not fit together.
    """
    tokenizer = saved_tokenizer(Path(folder) / "tokenizer")
    encoder = Path(folder) / "text_encoder"
    model: PreTrainedModel = saved_component(encoder_class(encoder), encoder)
    return tokenizer, model.float()


def saved_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """CheckpointError for files that are damaged or ask for code."""
    check_tokenizer(folder)
    with refused_faults(folder, "tokenizer"):
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True
        )
    tokenizer.truncation_side = "right"  # the beginning of a caption is what is read
    return tokenizer


def pretrained_text_encoder(
    name: str,
) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
    """The tokenizer and the text encoder of `name` (see `text_folders`), in fp32, without dropout.

    Of an encoder-decoder it is the encoder, of a causal language model all but its head (the last
    hidden state, after the final norm), of a model that also sees its language part. The tokenizer
    cuts what the encoder has no positions for.

    Raises CheckpointError for files that are damaged or unsafe, that lack weights, or that hold no
    text encoder.
    """
    tokenizer_folder, folder = text_folders(name)
    tokenizer, config = saved_tokenizer(tokenizer_folder), _text_config(folder)
    kind = encoder_class(folder)
    check_component(folder, kind, is_part=True)
    with _without_report(), refused_faults(folder, kind.__name__):
        model, found = kind.from_pretrained(
            str(folder),
            config=_plain(config),
            dtype=torch.float32,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
            key_mapping=LANGUAGE_PART,
            ignore_mismatched_sizes=True,  # reported below, by name
        )
    align_weights(model)
    # by which it would be saved under the names that its weights have in the larger model
    vars(model).pop("_weight_conversions", None)
    lost = [key for key in found["missing_keys"] if not key.startswith(NOT_READ)]
    lost += [str(entry[0]) for entry in found["mismatched_keys"]]
    if lost:
        raise CheckpointError(
            f"{folder} lacks {len(lost)} weights of a {kind.__name__}, or has them of another "
            f"shape, {sorted(lost)[0]} first. Download it again, or save its text encoder alone "
            "with save_pretrained."
        )
    for part in NOT_READ:
        if (unread := getattr(model, part.rstrip("."), None)) is not None:
            unread.requires_grad_(False)
    positions = getattr(config, "max_position_embeddings", None)
    if positions is not None:
        tokenizer.model_max_length = min(tokenizer.model_max_length, positions)
    return tokenizer, model.eval()


def encoder_class(folder: Path) -> Any:
    """The class of transformers that reads text with the model in `folder`.

    Raises CheckpointError where there is none.
    """
    config = _text_config(folder)
    encoders, models = AutoModelForTextEncoding._model_mapping, AutoModel._model_mapping
    kind = encoders.get(type(config), None)
    if kind is None and not config.is_encoder_decoder:
        kind = models.get(type(config), None)
    if kind is None or kind.__name__ not in TEXT_ENCODERS:
        raise CheckpointError(
            f"{folder / 'config.json'} is of a {config.model_type}, which mmdiff has no text "
            "encoder for; possible are encoders (T5, UMT5, BERT, CLIP) and causal language models "
            "(Gemma, Qwen, Llama)"
        )
    return kind


def _text_config(folder: Path) -> PretrainedConfig:
    """That of the part that reads text."""
    settings, path = read_settings(folder), folder / "config.json"
    if "model_type" not in settings.get(path.name, ()):
        raise CheckpointError(
            f"{folder} holds no model of transformers (a config.json with a model_type), and no "
            "text_encoder/ with one"
        )
    with refused_faults(path, "model of transformers"):
        config = AutoConfig.from_pretrained(str(folder), local_files_only=True)
    return getattr(config, "text_config", None) or config


def _plain(config: PretrainedConfig) -> PretrainedConfig:
    """Without dropout, by which a step would not be a function of its key; without a cache of what
    was read, which only text that goes on needs; and without keys that transformers ignores."""
    known = type(config)().to_dict()
    for key, value in config.to_dict().items():
        if key not in known and hasattr(config, key):
            delattr(config, key)
        elif isinstance(value, float) and ("dropout" in key or "pdrop" in key):
            setattr(config, key, 0.0)
    if "use_cache" in known:
        config.use_cache = False
    return config


@contextmanager
def _without_report() -> Iterator[None]:
    """Transformers lists, in a table, each weight of a model that its part does not need."""
    before = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers.logging.set_verbosity(before)
