"""Finished components, read from the folders that earlier runs left."""

from pathlib import Path

from mmdiff.autoencoders.audio_autoencoder import AudioAutoencoder
from mmdiff.autoencoders.video_autoencoder import VideoAutoencoder
from mmdiff.autoencoders.vocoder import Vocoder
from mmdiff.loading.component import saved_component
from mmdiff.values.file_path import FilePath


def saved_video_autoencoder(folder: FilePath) -> VideoAutoencoder:
    autoencoder: VideoAutoencoder = saved_component(VideoAutoencoder, _existing(folder))
    return autoencoder.eval()


def saved_audio_autoencoder(folder: FilePath) -> AudioAutoencoder:
    autoencoder: AudioAutoencoder = saved_component(AudioAutoencoder, _existing(folder))
    return autoencoder.eval()


def saved_vocoder(folder: FilePath) -> Vocoder:
    vocoder: Vocoder = saved_component(Vocoder, _existing(folder))
    return vocoder.eval()


def _existing(folder: str) -> str:
    if not (Path(folder) / "config.json").is_file():
        raise FileNotFoundError(
            f"{folder} holds no component; a finished run has it in its output_dir "
            "under components/"
        )
    return folder
