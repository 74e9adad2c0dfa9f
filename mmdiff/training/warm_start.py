"""Components of earlier runs, to start the next one from or to train along with."""

import logging
from pathlib import Path
from typing import Any

from mmdiff.autoencoders.audio_autoencoder import AudioAutoencoder
from mmdiff.autoencoders.autoencoder import Autoencoder
from mmdiff.autoencoders.video_autoencoder import VideoAutoencoder
from mmdiff.autoencoders.vocoder import Vocoder
from mmdiff.backbone.transformer import DiffusionTransformer
from mmdiff.loading.component import saved_component
from mmdiff.loading.json_file import read_json
from mmdiff.values.file_path import FilePath

_log = logging.getLogger(__name__)


def saved_video_autoencoder(folder: FilePath) -> VideoAutoencoder:
    return _saved(VideoAutoencoder, folder).eval()


def saved_audio_autoencoder(folder: FilePath) -> AudioAutoencoder:
    return _saved(AudioAutoencoder, folder).eval()


def saved_vocoder(folder: FilePath) -> Vocoder:
    return _saved(Vocoder, folder).eval()


def saved_autoencoder(folder: FilePath) -> Autoencoder:
    """The video or audio autoencoder saved in `folder`, to be trained further; ValueError for a
    component of another class."""
    name = read_json(_existing(folder) / "config.json").get("_class_name")
    for autoencoder in (VideoAutoencoder, AudioAutoencoder):
        if name == autoencoder.__name__:
            return _saved(autoencoder, folder).float().train()
    raise ValueError(f"{folder} holds a {name}, not a VideoAutoencoder or an AudioAutoencoder")


def grown_transformer(
    folder: FilePath, *, time_attention_every: int, text_dim: int | None = None
) -> DiffusionTransformer:
    """The transformer saved in `folder`/transformer, with temporal attention in more blocks, and
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


def _saved(component: Any, folder: FilePath) -> Any:
    return saved_component(component, _existing(folder))


def _existing(folder: FilePath) -> Path:
    if not (Path(folder) / "config.json").is_file():
        raise FileNotFoundError(
            f"{folder} holds no component; a run writes it in its output_dir under components/, "
            "and a pipeline has it as vae/, audio_vae/ and vocoder/"
        )
    return Path(folder)
