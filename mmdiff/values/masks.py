"""Token masks: 1 where a token is given, 0 where it is generated; of one clip, broadcastable.

Picture 1 1 f h w and sound 1 1 t m, with axes of 1 where all tokens along them are alike. Masks
add up by `torch.maximum`, and `1 - mask` is the rest of the clip.
"""

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor


def whole_video() -> Tensor:
    """The whole picture: 1 1 1 1 1."""
    return torch.ones(1, 1, 1, 1, 1)


def whole_audio() -> Tensor:
    """The whole sound: 1 1 1 1."""
    return torch.ones(1, 1, 1, 1)


def frames_at(latent_frames: int, indices: Sequence[int]) -> Tensor:
    """The latent frames named by `indices`, negative ones counted from the end: 1 1 f 1 1."""
    mask = torch.zeros(latent_frames)
    mask[list(indices)] = 1
    return rearrange(mask, "f -> 1 1 f 1 1")


def prefix_frames(latent_frames: int, count: int) -> Tensor:
    """The first `count` latent frames of the picture: 1 1 f 1 1."""
    return frames_at(latent_frames, range(count))


def suffix_frames(latent_frames: int, count: int) -> Tensor:
    """The last `count` latent frames of the picture: 1 1 f 1 1."""
    return frames_at(latent_frames, range(latent_frames - count, latent_frames))


def box(height: int, width: int, *, top: int, left: int, bottom: int, right: int) -> Tensor:
    """Latent rows top..bottom and columns left..right, ends excluded, in all frames: 1 1 1 h w."""
    mask = torch.zeros(height, width)
    mask[top:bottom, left:right] = 1
    return rearrange(mask, "h w -> 1 1 1 h w")


def span(latent_frames: int, first: int, last: int) -> Tensor:
    """Latent frames first..last of the sound, last excluded: 1 1 t 1."""
    mask = torch.zeros(latent_frames)
    mask[first:last] = 1
    return rearrange(mask, "t -> 1 1 t 1")
