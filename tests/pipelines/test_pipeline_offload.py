"""Weights that wait elsewhere: each way to offload leaves what is made as it is."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from accelerate import cpu_offload

from mmdiff import FirstFrame
from mmdiff.loading.module_memory import execution_device
from mmdiff.pipelines.pipeline import MMDiffPipeline
from tests.pipelines.tiny import tiny_pipeline

CPU = torch.device("cpu")


def leaf_level(pipe: MMDiffPipeline) -> None:
    pipe.enable_group_offload(CPU, offload_type="leaf_level")


def block_level(pipe: MMDiffPipeline) -> None:
    pipe.enable_group_offload(CPU, offload_type="block_level", num_blocks_per_group=1)


def layer_by_layer(pipe: MMDiffPipeline) -> None:
    """What `enable_sequential_cpu_offload` does, to "cpu": that method says "cpu:0", where
    accelerate makes plain tensors of weights."""
    for module in modules(pipe).values():
        cpu_offload(module, CPU, offload_buffers=len(module._parameters) > 0)


def modules(pipe: MMDiffPipeline) -> dict[str, Any]:
    return {n: one for n, one in pipe.components.items() if isinstance(one, torch.nn.Module)}


WAYS: dict[str, Callable[[MMDiffPipeline], None]] = {
    "whole models": lambda pipe: pipe.enable_model_cpu_offload(device="cpu"),
    "layer by layer": layer_by_layer,
    "groups of leaves": leaf_level,
    "groups of blocks": block_level,
}


def made(pipe: MMDiffPipeline) -> list[torch.Tensor]:
    image = torch.rand(32, 32, 3, generator=torch.Generator().manual_seed(0))
    out = pipe(
        ["a", "b"],
        generator=[torch.Generator().manual_seed(seed) for seed in (1, 2)],
        conditions=[FirstFrame((255 * image).to(torch.uint8).numpy())],
        output_type="pt",
    )
    return [out.frames, out.audio]


@pytest.mark.parametrize("way", WAYS)
def test_offload_leaves_what_is_made_as_it_is(way: str) -> None:
    expected, pipe = made(tiny_pipeline()), tiny_pipeline()
    WAYS[way](pipe)
    for _ in range(2):  # hooks are put back after a call
        assert all(map(torch.equal, made(pipe), expected))


def test_layer_by_layer_no_weight_stays_behind() -> None:
    """A weight that is used outside of its module's `forward` would be missing, or stay loaded."""
    pipe = tiny_pipeline()
    layer_by_layer(pipe)
    made(pipe)
    loaded = [
        f"{name}.{weight}"
        for name, module in modules(pipe).items()
        for weight, tensor in module.named_parameters()
        if tensor.device.type != "meta"
    ]
    assert not loaded
    assert {execution_device(module) for module in modules(pipe).values()} == {CPU}
