"""Reload changes no bit: where weights lie in memory has no say in what they make."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from mmdiff.loading.component import saved_component
from mmdiff.loading.module_memory import ALIGNMENT
from mmdiff.pipelines.pipeline import MMDiffPipeline
from tests.pipelines.tiny import tiny_pipeline


def shifted(path: Path) -> None:
    """The same tensors at odd places of the file: the text in front of them is padded."""
    tensors, padding = load_file(path), 0
    while (8 + int.from_bytes(path.read_bytes()[:8], "little")) % ALIGNMENT != ALIGNMENT // 2:
        save_file(tensors, path, {"format": "pt", "padding": "x" * padding})
        padding += 8


def weights(module: torch.nn.Module) -> list[torch.Tensor]:
    return [*module.parameters(), *module.buffers()]


def is_aligned(module: torch.nn.Module) -> bool:
    return all(tensor.data_ptr() % ALIGNMENT == 0 for tensor in weights(module))


def test_reload_changes_no_bit(tmp_path: Path) -> None:
    pipe = tiny_pipeline()
    pipe.save_pretrained(tmp_path)
    for path in tmp_path.glob("*/*.safetensors"):
        shifted(path)
    again = MMDiffPipeline.from_pretrained(tmp_path)
    again.set_progress_bar_config(disable=True)
    modules = [one for one in again.components.values() if isinstance(one, torch.nn.Module)]
    assert len(modules) == 5 and all(map(is_aligned, modules))

    made, remade = (
        one("a", generator=torch.Generator().manual_seed(3), output_type="pt")
        for one in (pipe, again)
    )
    assert torch.equal(made.frames, remade.frames) and torch.equal(made.audio, remade.audio)


def test_a_component_that_is_loaded_alone_is_aligned_too(tmp_path: Path) -> None:
    vae = tiny_pipeline().vae
    vae.save_pretrained(tmp_path)
    shifted(tmp_path / "diffusion_pytorch_model.safetensors")
    assert not is_aligned(type(vae).from_pretrained(tmp_path))
    again = saved_component(type(vae), tmp_path)
    assert is_aligned(again)
    assert all(map(torch.equal, weights(vae), weights(again)))
