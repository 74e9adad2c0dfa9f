"""One component in its folder, checked against its config.json before anything is built from it.

diffusers and transformers take pickles, draw missing weights anew, leave out unexpected ones and
unknown keys of a configuration, and build whatever sizes it asks for: all of it in silence. Here
the model is built without memory first, and compared with what the headers of its weights say.
"""

import re
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from diffusers.configuration_utils import ConfigMixin
from torch import nn

from mmdiff.loading.empty_model import empty_model
from mmdiff.loading.json_file import HINT, CheckpointError
from mmdiff.loading.module_memory import align_weights
from mmdiff.loading.safetensors_file import (
    FLOATS,
    StoredTensor,
    check_values,
    stored_tensors,
    weight_files,
)
from mmdiff.loading.settings import read_settings, refused_faults

FREE_ELEMENTS = 2**22  # of buffers, and of what transformers draws anew and nobody reads


def saved_component(kind: Any, folder: str | PathLike[str]) -> Any:
    """The component in `folder`.

    kind: a model class of diffusers or transformers.

    Raises CheckpointError, before anything is built, for what `check_component` refuses.
    """
    check_component(Path(folder), kind)
    with refused_faults(Path(folder), kind.__name__):
        component = kind.from_pretrained(str(folder), local_files_only=True, use_safetensors=True)
    align_weights(component)
    return component


def check_component(
    folder: Path,
    kind: Any,
    *,
    variant: str | None = None,
    is_part: bool = False,
    root: Path | None = None,
) -> nn.Module:
    """Refuse the folder of a model whose files are damaged, unsafe, or do not fit together.

    Refused are: what `read_settings` refuses, adapters, unknown config keys, a model that the
    weights cannot fill, missing, unexpected or wrongly shaped weights, anything but floats where
    floats are meant, NaN and infinity. It costs reading the weights once; the model that comes
    back holds none of them.

    kind     the model class of diffusers or transformers that is to be loaded
    is_part  of a larger model that others saved: further weights, other names of weights and
             further keys are left to the library, which has to be asked what it found
    root     the folder that links may not lead out of; None: `folder`

    Raises CheckpointError, which names the file, what is wrong and a hint.
    """
    root, path = root or folder, folder / "config.json"
    settings = read_settings(folder, root=root)
    if path.name not in settings:
        raise CheckpointError(f"{path} is missing. {HINT}")
    for adapter in sorted(folder.glob("adapter_*")):  # transformers would load it in silence
        raise CheckpointError(
            f"{adapter} is part of an adapter, which is not loaded from within a component. Remove "
            "it, or merge it into the weights first."
        )
    config = settings[path.name]
    name = "diffusion_pytorch_model" if issubclass(kind, ConfigMixin) else "model"
    files = weight_files(folder, variant, name=name, root=root)
    stored = stored_tensors(files)
    model = empty_model(kind, path, config, num_tensors=len(stored), is_part=is_part)
    _check_kinds(files[0], stored, model, is_quantized="quantization_config" in config)
    if not is_part:
        _check_weights(files[0], stored, model)
    check_values(files, bounds=getattr(kind, "weight_bounds", None))
    return model


def _check_kinds(
    path: Path, stored: Mapping[str, StoredTensor], model: nn.Module, *, is_quantized: bool
) -> None:
    """Refuse a model of more elements than are stored, and others than floats for floats; both are
    what quantized weights are, so a configuration has to say that it has them."""
    num_stored = sum(tensor.num_elements for tensor in stored.values())
    num_built = sum(one.numel() for one in (*model.parameters(), *model.buffers()))
    if num_built > FREE_ELEMENTS + (8 if is_quantized else 1) * num_stored:
        raise CheckpointError(
            f"{path} holds {num_stored:,} numbers, and its config.json describes a model of "
            f"{num_built:,}. {HINT}"
        )
    expected = {**dict(model.named_buffers()), **dict(model.named_parameters())}
    for name, tensor in stored.items():
        is_index = name.endswith("_ids") or (
            name in expected and not expected[name].is_floating_point()
        )
        if tensor.dtype not in FLOATS and not is_index and not is_quantized:
            raise CheckpointError(
                f"{path}: the weight {name} is stored as {tensor.dtype}; it must be one of "
                f"{', '.join(FLOATS)}, unless config.json has a quantization_config. {HINT}"
            )


def _check_weights(path: Path, stored: Mapping[str, StoredTensor], expected: nn.Module) -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in expected.state_dict().items()}
    tied = getattr(expected, "_tied_weights_keys", None) or {}
    left_out = getattr(expected, "_keys_to_ignore_on_load_unexpected", None) or ()
    missing = sorted(set(shapes) - set(stored) - set(tied))
    unexpected = sorted(
        name
        for name in set(stored) - set(shapes)
        if not any(re.search(pattern, name) for pattern in left_out)
    )
    wrong = sorted(
        f"{name} {stored[name].shape}, not {shape}"
        for name, shape in shapes.items()
        if name in stored and stored[name].shape != shape
    )
    titles = {"missing": missing, "unexpected": unexpected, "of another shape": wrong}
    faults = [f"{title}: {_listed(names)}" for title, names in titles.items() if names]
    if faults:
        raise CheckpointError(
            f"{path} does not fit its config.json; weights {'; '.join(faults)}. {HINT}"
        )


def _listed(names: list[str], limit: int = 8) -> str:
    rest = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + rest
