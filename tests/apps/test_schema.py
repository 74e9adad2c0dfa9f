"""The constructor is the schema: what fits an annotation and what does not."""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from mmdiff.apps.schema import check_arguments, described, fits
from mmdiff.values.usage_error import UsageError

NODE = {"_target_": "mmdiff.values.shapes.ClipShape"}

FITS = [
    (1, int),
    (1, float),
    (1.5, float),
    ("a", str),
    (True, bool),
    (None, int | None),
    ("video", Literal["video", "audio"]),
    ([1, 2], list[int]),
    ([1, 2], tuple[int, int]),
    ([1, 2, 3], tuple[int, ...]),
    ([1.0], Sequence[float]),
    ({"video": 1.0}, Mapping[str, float]),
    (16, Fraction),
    ("16", Fraction),
    ("a/b", str | Path),
    (NODE, torch.nn.Module),
    (NODE, Callable[..., Any]),
    (NODE, torch.nn.Module | None),
    ("anything", Any),
    (3, "a forward reference"),
    (1e-3, float | torch.Tensor),
]
DOES_NOT_FIT = [
    ("abc", int),
    (1.5, int),
    (True, int),
    (1, bool),
    (True, float),
    ("1", float),
    (1, str),
    (None, int),
    ("vidoe", Literal["video", "audio"]),
    (1, Literal[True]),
    ("ab", list[str]),
    (3, list[int]),
    ([1, "a"], list[int]),
    ([1, 2, 3], tuple[int, int]),
    ([1], Mapping[str, int]),
    (3, torch.nn.Module),
    ("abc", torch.nn.Module | None),
    (NODE, int),
    (NODE, str),
]


@pytest.mark.parametrize("value, annotation", FITS)
def test_fits(value, annotation):
    assert fits(value, annotation)


@pytest.mark.parametrize("value, annotation", DOES_NOT_FIT)
def test_does_not_fit(value, annotation):
    assert not fits(value, annotation)


class Part:
    def __init__(self, width: int, *, kind: Literal["a", "b"] = "a", depth: int = None):  # noqa: RUF013
        self.width = width


def test_a_missing_argument_is_named():
    with pytest.raises(UsageError, match=r"Part needs part\.width"):
        check_arguments(Part, {}, prefix="part.")
    check_arguments(Part, {}, is_partial=True)
    check_arguments(Part, {}, num_positional=1)


def test_a_default_of_none_may_be_given():
    check_arguments(Part, {"width": 1, "depth": None})


def test_an_unknown_argument_is_named_with_its_neighbour():
    with pytest.raises(UsageError) as caught:
        check_arguments(Part, {"widht": 1}, prefix="part.")
    assert caught.value.nearest == "+part.width=1"


def test_what_takes_anything_takes_anything():
    def function(**arguments):
        return arguments

    check_arguments(function, {"a": 1})


def test_descriptions_are_words():
    assert described(int | None) == "a whole number or null"
    assert described(Literal["a", "b"]) == "'a' or 'b'"
    assert described(list[float]) == "a list of (a number)"
