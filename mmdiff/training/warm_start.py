"""Parts of an earlier run to start the next one from."""

import logging
from dataclasses import replace
from pathlib import Path

from mmdiff.autoencoders.audio_autoencoder import AudioAutoencoder
from mmdiff.autoencoders.autoencoder import Autoencoder
from mmdiff.autoencoders.video_autoencoder import VideoAutoencoder
from mmdiff.backbone.transformer import DiffusionTransformer
from mmdiff.loading.component import saved_component
from mmdiff.loading.json_file import read_json
from mmdiff.text.caption_length import MAX_TEXT_TOKENS, caption_length, cut_captions
from mmdiff.text.pretrained import saved_text_encoder
from mmdiff.training.text_model import TextModel
from mmdiff.values.file_path import FilePath

_log = logging.getLogger(__name__)


def grown_transformer(
    folder: FilePath, *, time_attention_every: int, text_dim: int | None = None
) -> DiffusionTransformer:
    """The transformer saved in `folder`/transformer, with attention over time in more blocks, and
    for text of another width.

    The new attention starts at zero, so at first the grown one predicts exactly what the saved one
    does; for another `text_dim` (None: as it was), what reads the text starts anew. ValueError if
    it would lose attention that the saved one has.
    """
    saved = saved_component(DiffusionTransformer, Path(folder) / "transformer")
    before = saved.config.time_attention_every
    if before % time_attention_every:
        raise ValueError(
            f"time_attention_every is {time_attention_every}, and the saved transformer has it in "
            f"every block number {before}; it can grow to a divisor of {before}, 1 for instance"
        )
    settings = {name: value for name, value in saved.config.items() if not name.startswith("_")}
    settings["time_attention_every"] = time_attention_every
    weights = saved.state_dict()
    if text_dim not in (None, saved.config.text_dim):
        _log.info(
            "the text is %d wide, not %d: its first layer is new", text_dim, settings["text_dim"]
        )
        settings["text_dim"] = text_dim
        del weights["text_embed.0.weight"]
    grown = DiffusionTransformer(**settings)
    missing, unexpected = grown.load_state_dict(weights, strict=False)
    assert not unexpected
    assert all("_time." in name or name == "text_embed.0.weight" for name in missing)
    return grown


def saved_autoencoder(folder: FilePath) -> Autoencoder:
    """The video or audio autoencoder saved in `folder`, to be trained further.

    FileNotFoundError if there is none; ValueError for a component of another kind.
    """
    path = Path(folder) / "config.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder} holds no config.json; give the folder of an autoencoder, which a run writes "
            "under components/ and a pipeline holds as vae/ and audio_vae/"
        )
    kind = read_json(path).get("_class_name")
    for autoencoder in (VideoAutoencoder, AudioAutoencoder):
        if kind == autoencoder.__name__:
            model: Autoencoder = saved_component(autoencoder, folder)
            return model.float().train()
    raise ValueError(f"{folder} holds a {kind}, not a VideoAutoencoder or an AudioAutoencoder")


def saved_text_model(folder: FilePath, *, max_length: int = MAX_TEXT_TOKENS) -> TextModel:
    """The tokenizer and the text encoder saved in `folder`, to be trained further; captions are cut
    where they were, or after `max_length` tokens if that is less."""
    tokenizer, encoder = saved_text_encoder(folder)
    cut_captions(tokenizer, min(max_length, caption_length(tokenizer)))
    return TextModel(tokenizer, encoder)


def frozen_text_model(folder: FilePath, *, max_length: int = MAX_TEXT_TOKENS) -> TextModel:
    """The same, used as they are."""
    text = saved_text_model(folder, max_length=max_length)
    return replace(text, is_trained=False)
