"""Where the weights of a module lie, and where it computes."""

import itertools

import torch
from diffusers.models.modeling_utils import get_parameter_device
from torch import nn

ALIGNMENT = 64  # bytes; where PyTorch's own allocator puts every tensor


def align_weights(module: nn.Module) -> None:
    """Move weights that begin at an odd place of a mapped file to memory of their own.

    Kernels of a CPU add up in another order where a tensor is not aligned, so that equal weights
    would give other bits after they were saved and loaded.
    """
    for tensor in itertools.chain(module.parameters(), module.buffers()):
        if tensor.device.type == "cpu" and tensor.data_ptr() % ALIGNMENT:
            tensor.data = tensor.data.clone()


def execution_device(module: nn.Module) -> torch.device:
    """Where `module` computes; hooks of accelerate and diffusers may keep its weights elsewhere
    meanwhile."""
    for part in module.modules():
        device = getattr(getattr(part, "_hf_hook", None), "execution_device", None)
        if device is not None:
            return torch.device(device)
    return get_parameter_device(module)
