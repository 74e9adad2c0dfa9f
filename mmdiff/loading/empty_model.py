"""The model that a configuration describes, without memory: to be compared with its weights.

Everything is on the meta device, buffers too, and building stops soon after there are more parts
than the weights can fill: modules cost memory and hours also without their weights.
"""

import inspect
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from diffusers.configuration_utils import ConfigMixin
from torch import nn
from torch.nn.modules import module as hooks

from mmdiff.loading.json_file import HINT, CheckpointError
from mmdiff.loading.settings import check_config_keys, refused_faults

OF_TRANSFORMERS = (
    *("architectures", "model_type", "transformers_version", "dtype", "torch_dtype"),
    *("text_config", "quantization_config"),
    # of text that is generated; released text encoders carry these, and no encoder reads them
    *("decoder_start_token_id", "n_positions", "output_past", "task_specific_params"),
)
WEIGHTS_PER_TENSOR = 2  # some are registered twice
MODULES_PER_TENSOR = 8


def empty_model(
    kind: Any, path: Path, config: Mapping[str, Any], *, num_tensors: int, is_part: bool
) -> nn.Module:
    """The model of class `kind` that the content `config` of the file `path` describes.

    num_tensors  in its weights
    is_part      of what `config` describes it is the part that reads text, and further keys are
                 left to the library

    A text encoder has read two tokens, so that no value fails only then. Raises CheckpointError.
    """
    with refused_faults(path, kind.__name__), _at_most(num_tensors, path), torch.device("meta"):
        if issubclass(kind, ConfigMixin):
            check_config_keys(path, config, set(inspect.signature(kind.__init__).parameters))
            return kind.from_config(dict(config))  # type: ignore[no-any-return]
        if is_part:
            config = config.get("text_config") or config
        else:
            check_config_keys(path, config, {*kind.config_class().to_dict(), *OF_TRANSFORMERS})
        model: nn.Module = kind(kind.config_class.from_dict(dict(config))).eval()
        # a finished mask, since making one looks at its values, of which there are none here
        ids, mask = torch.zeros(1, 2, dtype=torch.long), torch.zeros(1, 1, 2, 2)
        with torch.no_grad():
            tokens = model(input_ids=ids, attention_mask=mask).last_hidden_state
        assert tokens.ndim == 3, "it reads no text"
        return model


@contextmanager
def _at_most(num_tensors: int, path: Path) -> Iterator[None]:
    thread = threading.get_ident()
    left = {
        "weights": WEIGHTS_PER_TENSOR * num_tensors + 100,
        "modules": MODULES_PER_TENSOR * num_tensors + 400,
    }

    def counted(name: str) -> Any:
        def count(*_: Any) -> None:
            if threading.get_ident() == thread:  # hooks are those of all threads
                left[name] -= 1
                if left[name] < 0:
                    raise CheckpointError(
                        f"{path} describes a model of far more {name} than the {num_tensors} "
                        f"tensors beside it. {HINT}"
                    )

        return count

    handles = [
        hooks.register_module_parameter_registration_hook(counted("weights")),
        hooks.register_module_buffer_registration_hook(counted("weights")),
        hooks.register_module_module_registration_hook(counted("modules")),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
