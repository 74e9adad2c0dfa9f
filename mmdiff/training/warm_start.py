"""Parts of an earlier run to start the next one from."""

from pathlib import Path

from mmdiff.autoencoders.audio_autoencoder import AudioAutoencoder
from mmdiff.autoencoders.autoencoder import Autoencoder
from mmdiff.autoencoders.video_autoencoder import VideoAutoencoder
from mmdiff.backbone.transformer import DiffusionTransformer
from mmdiff.text.encoder import saved_text_encoder
from mmdiff.training.text_model import TextModel
from mmdiff.values.checkpoint_files import read_json
from mmdiff.values.file_path import FilePath
from mmdiff.values.saved_component import saved_component


def grown_transformer(folder: FilePath, *, time_attention_every: int) -> DiffusionTransformer:
    """The transformer saved in `folder`/transformer, with attention over time in more blocks.

    What is new starts at zero, so at first the grown one predicts exactly what the saved one
    does. ValueError if it would lose attention that the saved one has.
    """
    saved = saved_component(DiffusionTransformer, Path(folder) / "transformer")
    before = saved.config.time_attention_every
    if before % time_attention_every:
        raise ValueError(
            f"time_attention_every is {time_attention_every}, and the saved transformer has it in "
            f"every block number {before}; it can grow to a divisor of {before}, 1 for instance"
        )
    settings = {name: value for name, value in saved.config.items() if not name.startswith("_")}
    grown = DiffusionTransformer(**settings | {"time_attention_every": time_attention_every})
    missing, unexpected = grown.load_state_dict(saved.state_dict(), strict=False)
    assert not unexpected and all("_time." in name for name in missing)
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


def saved_text_model(folder: FilePath, *, max_length: int = 64) -> TextModel:
    """The tokenizer and the text encoder saved in `folder`, to be trained further."""
    tokenizer, encoder = saved_text_encoder(folder)
    # transformers keeps the precision of the file, in which small steps of training would be lost
    return TextModel(tokenizer, encoder.float().train(), max_length)


def frozen_text_model(folder: FilePath, *, max_length: int = 64) -> TextModel:
    """The tokenizer and the text encoder saved in `folder`, used as they are."""
    tokenizer, encoder = saved_text_encoder(folder)
    return TextModel(tokenizer, encoder.eval().requires_grad_(False), max_length, is_trained=False)
