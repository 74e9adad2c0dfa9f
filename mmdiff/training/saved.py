"""Finished components, read from the folders that earlier runs left."""

from pathlib import Path

from mmdiff.autoencoders.audio_autoencoder import AudioAutoencoder
from mmdiff.autoencoders.video_autoencoder import VideoAutoencoder
from mmdiff.autoencoders.vocoder import Vocoder


def saved_video_autoencoder(folder: str) -> VideoAutoencoder:
    return VideoAutoencoder.from_pretrained(_existing(folder)).eval()


def saved_audio_autoencoder(folder: str) -> AudioAutoencoder:
    return AudioAutoencoder.from_pretrained(_existing(folder)).eval()


def saved_vocoder(folder: str) -> Vocoder:
    return Vocoder.from_pretrained(_existing(folder)).eval()


def _existing(folder: str) -> str:
    if not (Path(folder) / "config.json").is_file():
        raise FileNotFoundError(
            f"{folder} holds no component; a finished run has it in its output_dir "
            "under components/"
        )
    return folder
