"""Nested state <-> JSON and named tensors, without pickle."""

from typing import Any

import torch
from torch import Tensor

_TENSOR, _TUPLE, _PAIRS, _DTYPE = "$tensor", "$tuple", "$pairs", "$dtype"  # what JSON has not


def split_state(state: Any, name: str = "") -> tuple[Any, dict[str, Tensor]]:
    """`state` as a JSON document, and the tensors it names.

    Tuples, dictionaries with keys that are not text, and dtypes keep their type. A tensor that
    occurs twice is stored once. Raises TypeError, with its path, for anything that is not plain
    data.
    """
    tensors: dict[str, Tensor] = {}
    return _to_json(state, name, tensors, {}), tensors


def join_state(document: Any, tensors: dict[str, Tensor]) -> Any:
    """The inverse of `split_state`."""
    if isinstance(document, list):
        return [join_state(item, tensors) for item in document]
    if not isinstance(document, dict):
        return document
    if _TENSOR in document:
        return tensors[document[_TENSOR]]
    if _TUPLE in document:
        return tuple(join_state(item, tensors) for item in document[_TUPLE])
    if _DTYPE in document:
        dtype = getattr(torch, str(document[_DTYPE]), None)
        if not isinstance(dtype, torch.dtype):  # the name comes out of a file: it may be anything
            raise ValueError(f"{document[_DTYPE]!r} is not a dtype of torch")
        return dtype
    if _PAIRS in document:
        return {
            join_state(key, tensors): join_state(value, tensors) for key, value in document[_PAIRS]
        }
    return {key: join_state(value, tensors) for key, value in document.items()}


def _to_json(
    value: Any, name: str, tensors: dict[str, Tensor], seen: dict[tuple[Any, ...], str]
) -> Any:
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, Tensor):
        return {_TENSOR: _store(value.detach(), name, tensors, seen)}
    if isinstance(value, torch.dtype):
        return {_DTYPE: str(value).removeprefix("torch.")}
    if isinstance(value, (list, tuple)):
        items = [
            _to_json(item, f"{name}/{index}", tensors, seen) for index, item in enumerate(value)
        ]
        return {_TUPLE: items} if isinstance(value, tuple) else items
    if isinstance(value, dict):
        entries = [
            (key, _to_json(item, f"{name}/{key}", tensors, seen)) for key, item in value.items()
        ]
        if all(type(key) is str and not key.startswith("$") for key, _ in entries):
            return dict(entries)
        return {
            _PAIRS: [[_to_json(key, f"{name}/key", tensors, seen), item] for key, item in entries]
        }
    raise TypeError(
        f"the state at {name!r} is a {type(value).__name__}; a checkpoint holds tensors, numbers, "
        "text, lists and dictionaries of them: convert it in the state_dict that returned it"
    )


def _store(
    tensor: Tensor, name: str, tensors: dict[str, Tensor], seen: dict[tuple[Any, ...], str]
) -> str:
    identity = (tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.dtype)
    # safetensors refuses memory that two names share; tensors without elements all lie at 0
    if tensor.numel() and identity in seen:
        return seen[identity]
    name = name or "tensor"
    seen[identity] = name
    tensors[name] = tensor.cpu().contiguous()
    return name
