from pathlib import Path

import numpy as np
from PIL import Image

from mmdiff.evaluation.plot import save_bars, save_curves


def drawn(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def test_curves_are_drawn_and_differ_with_their_values(tmp_path: Path) -> None:
    images = []
    for index, values in enumerate(([1.0, 2.0, 3.0], [3.0, 2.0, 1.0])):
        path = tmp_path / f"{index}.png"
        curves = {"one": dict(zip([5, 10, 20], values, strict=True))}
        save_curves(curves, path, x_label="x", y_label="y", title="t", is_logarithmic=True)
        images.append(drawn(path))
    assert images[0].shape == images[1].shape
    assert np.abs(images[0] - images[1]).max() > 100
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.png", "1.png"]


def test_a_long_bar_has_more_ink(tmp_path: Path) -> None:
    ink = []
    for value in (1.0, 3.0):
        path = tmp_path / "bars.png"
        save_bars({"time": {"base": 4.0, "other": value}}, path, title="t", baseline="base")
        blue = np.abs(drawn(path) - np.array([0x42, 0x5B, 0xD6])).sum(-1) < 30
        ink.append(int(blue.sum()))
    assert ink[1] > 2 * ink[0] > 0
