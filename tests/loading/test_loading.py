"""What is settled before diffusers loads: folder, precision, and the names that it looks for."""

import sys
from pathlib import Path

import pytest
import torch

from mmdiff.loading.pipeline import prepare_loading
from mmdiff.pipelines.pipeline import MMDiffPipeline
from tests.pipelines.tiny import tiny_components


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model_index.json").write_text("{}")
    return tmp_path


@pytest.mark.parametrize(
    ("keywords", "dtype"),
    [
        ({}, torch.float32),
        ({"dtype": torch.float16}, torch.float16),
        ({"torch_dtype": torch.bfloat16}, torch.bfloat16),
    ],
)
def test_weights_are_fp32_unless_asked_otherwise(
    folder: Path, keywords: dict[str, object], dtype: torch.dtype
) -> None:
    asked = {"strict": False, "local_files_only": True, "variant": "ema"} | keywords
    before = dict(asked)
    found, handed_on = prepare_loading(MMDiffPipeline, folder, keywords=asked)
    assert found == folder and asked == before
    assert handed_on == {"variant": "ema", "dtype": dtype, "use_safetensors": True}


def test_anything_but_safetensors_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="use_safetensors is False"):
        prepare_loading(MMDiffPipeline, folder, keywords={"use_safetensors": False})


def test_diffusers_finds_the_base_class_of_each_component() -> None:
    components = tiny_components()
    for name in ("transformer", "vae", "audio_vae", "vocoder"):
        assert hasattr(sys.modules[type(components[name]).__module__], "ModelMixin")
