"""Transparent pixels on the one background that all of them are shown on: white."""

import numpy as np

ON_WHITE = "transparency shown on white"


def on_white(pixels: np.ndarray) -> tuple[np.ndarray, bool]:
    """height width 3, and whether any pixel is transparent; opaque ones stay as they are.

    pixels  height width 4, uint8, colours not multiplied by alpha
    """
    colours, alpha = pixels[..., :3], pixels[..., 3:]
    if (alpha == 255).all():
        return np.ascontiguousarray(colours), False
    weights = alpha.astype(np.uint16)
    mixed = (colours * weights + 255 * (255 - weights) + 127) // 255
    return mixed.astype(np.uint8), True
