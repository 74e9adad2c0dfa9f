"""ModalityTokens: one modality on its way into the trunk."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class ModalityTokens:
    """The tokens of one modality, p of them beside each latent frame, and what is known of them.

    tokens      b f p d
    positions   f p 3: seconds, row and column as a fraction of the canvas
    embedding   b f|1 p|1 d: of their noise levels; 1 where all frames or tokens have the same
    modulation  b f|1 p|1 6d: what shifts, scales and gates them in the blocks
    canvas      rows and columns of tokens on the canvas; 1 and 1 for sound, which is nowhere
    """

    tokens: Tensor
    positions: Tensor
    embedding: Tensor
    modulation: Tensor
    canvas: tuple[int, int]

    @property
    def latent_frames(self) -> int:
        return self.tokens.shape[1]

    @property
    def tokens_per_frame(self) -> int:
        return self.tokens.shape[2]

    @property
    def seconds(self) -> Tensor:
        """f p"""
        return self.positions[..., 0]
