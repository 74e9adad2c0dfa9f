"""A trained component from its folder: safetensors only, all of its weights, all of them finite."""

from os import PathLike
from typing import Any

from mmdiff.values.finite import names_of_non_finite

NAMES_SHOWN = 3


def saved_component(kind: Any, folder: str | PathLike[str]) -> Any:
    """The component in `folder`; diffusers and transformers would take pickles where there are no
    safetensors, and draw in silence what the weights lack.

    kind: a model class of diffusers or transformers.

    Raises OSError where there are no safetensors weights, and ValueError for weights that are not
    those of the config.json beside them, or are NaN or infinite.
    """
    model, found = kind.from_pretrained(
        str(folder), local_files_only=True, use_safetensors=True, output_loading_info=True
    )
    faults = {
        "missing": found["missing_keys"],
        "of nothing in its config.json": found["unexpected_keys"],
        "NaN or infinite": names_of_non_finite(
            {name: value for name, value in model.named_parameters() if not value.is_meta}
        ),  # meta: missing
    }
    told = [f"{_listed(sorted(names))} {fault}" for fault, names in faults.items() if names]
    if told:
        raise ValueError(
            f"{folder} holds no whole {kind.__name__}: {'; '.join(told)}; save it again"
        )
    return model


def _listed(names: list[str]) -> str:
    rest = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return f"{', '.join(names[:NAMES_SHOWN])}{rest} {'is' if len(names) == 1 else 'are'}"
