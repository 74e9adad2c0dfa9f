"""Before diffusers loads a pipeline: where it lies, whether it is sound, and in which precision."""

import sys
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from diffusers.models.modeling_utils import ModelMixin

from mmdiff.autoencoders.audio_autoencoder import AudioAutoencoder
from mmdiff.autoencoders.video_autoencoder import VideoAutoencoder
from mmdiff.autoencoders.vocoder import Vocoder
from mmdiff.backbone.transformer import DiffusionTransformer
from mmdiff.pipelines.folder import pipeline_folder
from mmdiff.pipelines.strict_load import check_checkpoint

HUB_KEYWORDS = ("revision", "cache_dir", "token", "local_files_only")

# A component of ours is saved as [the module that defines it, its class]. To load it, diffusers
# takes the loading method of its base class, which it looks for by name in that same module
# (`get_class_obj_and_candidates`); a module that imports only a base of ours lacks that name.
for component in (DiffusionTransformer, VideoAutoencoder, AudioAutoencoder, Vocoder):
    vars(sys.modules[component.__module__]).setdefault("ModelMixin", ModelMixin)


def prepare_loading(
    pipeline: Any, name: str | PathLike[str] | None, *, keywords: dict[str, Any]
) -> tuple[Path, dict[str, Any]]:
    """The folder of pipeline `name`, checked, and the keywords that diffusers loads it with.

    keywords  those of `from_pretrained`: diffusers', and `strict`, which is ours

    Raises CheckpointError, which names the file and the cure; ValueError for use_safetensors=False.
    """
    rest = dict(keywords)
    is_strict = rest.pop("strict", True)
    if not rest.pop("use_safetensors", True):
        raise ValueError("use_safetensors is False; mmdiff loads nothing else: leave it out")
    rest["dtype"] = rest.pop("torch_dtype", None) or rest.get("dtype") or torch.float32
    hub = {key: rest.pop(key) for key in HUB_KEYWORDS if key in rest}
    folder = pipeline_folder(name, **hub)
    if is_strict:
        check_checkpoint(folder, pipeline=pipeline, variant=rest.get("variant"), given=rest.keys())
    return folder, rest | {"use_safetensors": True}
