"""The table in docs/backbone.md is what tools/count.py counts."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import count  # noqa: E402

PAGE = (ROOT / "docs" / "backbone.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("preset", ["tiny", "small"])
def test_the_page_says_what_is_counted(preset):
    assert count.count(preset).row() in PAGE.splitlines()


def test_every_preset_has_a_row():
    files = (ROOT / "conf" / "backbone").glob("*.yaml")
    presets = {path.stem for path in files if "DiffusionTransformer" in path.read_text()}
    assert presets == set(count.PRESETS)
    assert all(f"| {preset} |" in PAGE for preset in presets)


def test_a_matrix_product_is_counted_at_two_operations():
    """The large part of a pass is tokens x weights: between one and two operations of each."""
    small = count.count("small")
    tokens = 9 * (16 + 2)
    assert tokens * small.parameters < small.operations < 2 * tokens * small.parameters


@pytest.mark.parametrize(
    "number, text", [(7, "7 "), (63_104, "63.1 k"), (999_900, "1 M"), (2_857_234_752, "2.86 G")]
)
def test_rounded(number, text):
    assert count.rounded(number) == text
