"""S2: malformed safetensors are refused in a second and in little memory, with the file's name."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from mmdiff.loading.safetensors_file import (
    LARGEST_HEADER,
    MOST_TENSORS,
    StoredTensor,
    check_values,
    stored_tensors,
)
from tests.loading.refused import refused_at_once


def tensor(begin: int, end: int, *, shape: list[int], dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def file_of(header: Any, num_bytes: int = 0, *, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    count = len(text) if length is None else length
    return count.to_bytes(8, "little") + text + bytes(num_bytes)


ONE = tensor(0, 4, shape=[1])
GOOD = file_of({"a": ONE}, 4)
TWICE = b'{"a": %s, "a": %s}' % ((json.dumps(ONE).encode(),) * 2)
MALFORMED = {
    "empty": (b"", "has 0 bytes"),
    "seven bytes": (b"1234567", "has 7 bytes"),
    "cut in the header": (GOOD[:20], "fewer than its header claims"),
    "cut in the data": (GOOD[:-1], "not fully covered"),
    "zeros": (bytes(1000), "safetensors is damaged"),
    "header of 2^63": (file_of(b"{}", length=2**63), "fewer than its header claims"),
    "header of 2^64 - 1": (file_of(b"{}", length=2**64 - 1), "fewer than its header claims"),
    "long header": (file_of(b" " * (LARGEST_HEADER + 1)), f"at most {LARGEST_HEADER} are read"),
    "no JSON": (file_of(b"{a}"), "safetensors is damaged"),
    "no UTF-8": (file_of(b'{"\xff": 1}'), "safetensors is damaged"),
    "a list": (file_of([]), "is no JSON object"),
    "deep": (file_of(b'{"a":' + b"[" * 100_000 + b"}"), "holds 100001 lists"),
    "overlapping": (file_of({"a": ONE, "b": ONE}, 4), "invalid offset"),
    "a hole": (file_of({"a": ONE, "b": tensor(8, 12, shape=[1])}, 12), "invalid offset"),
    "backwards": (file_of({"a": tensor(4, 0, shape=[1])}, 4), "invalid"),
    "behind the end": (file_of({"a": tensor(0, 400, shape=[100])}, 4), "not fully covered"),
    "unknown dtype": (file_of({"a": tensor(0, 4, shape=[1], dtype="F99")}, 4), "F99"),
    "dtype of another size": (file_of({"a": tensor(0, 4, shape=[1], dtype="F64")}, 4), "invalid"),
    "wrong shape": (file_of({"a": tensor(0, 4, shape=[3])}, 4), "invalid shape"),
    "negative shape": (file_of({"a": tensor(0, 4, shape=[-1])}, 4), "safetensors is damaged"),
    "overflow": (file_of({"a": tensor(0, 4, shape=[2**40, 2**40])}, 4), "overflow"),
    "a name twice": (file_of(TWICE, 4), "names 'a' twice"),
    "a member twice": (file_of(b'{"a": {"dtype": "F32", "dtype": "F32"}}'), "names 'dtype' twice"),
    "data behind the end": (GOOD + bytes(100), "not fully covered"),
    "many tensors": (
        file_of({str(i): tensor(0, 0, shape=[0]) for i in range(MOST_TENSORS + 1)}),
        f"at most {MOST_TENSORS} are read",
    ),
}


@pytest.mark.parametrize(("content", "message"), MALFORMED.values(), ids=MALFORMED)
def test_s2_malformed_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    _refused(tmp_path / "x.safetensors", content, message)


def a_million_tensors() -> bytes:
    entry = json.dumps(tensor(0, 0, shape=[0]))
    header = ",".join(f'"{index}":{entry}' for index in range(10**6))
    return file_of(f"{{{header}}}".encode())


def test_s2_a_million_tensors_are_refused(tmp_path: Path) -> None:
    _refused(tmp_path / "x.safetensors", a_million_tensors(), "are read")


def _refused(path: Path, content: bytes, message: str) -> None:
    path.write_bytes(content)
    refused_at_once(lambda: stored_tensors([path]), f"{path.name} is damaged.*{message}|{message}")


def test_what_is_well_formed_is_read(tmp_path: Path) -> None:
    weights = {"a": torch.zeros(2, 3), "b": torch.zeros(0, dtype=torch.bfloat16)}
    save_file(weights, tmp_path / "x.safetensors", metadata={"format": "pt"})
    check_values([tmp_path / "x.safetensors"])
    assert stored_tensors([tmp_path / "x.safetensors"]) == {
        "a": StoredTensor((2, 3), "F32"),
        "b": StoredTensor((0,), "BF16"),
    }
    (tmp_path / "y.safetensors").write_bytes(GOOD)
    assert stored_tensors([tmp_path / "y.safetensors"]) == {"a": StoredTensor((1,), "F32")}
