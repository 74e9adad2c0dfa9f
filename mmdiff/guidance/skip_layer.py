"""Skip-layer guidance: away from the prediction of a backbone that lacks some blocks."""

from dataclasses import dataclass, field

from mmdiff.guidance.difference_guider import DifferenceGuider
from mmdiff.guidance.weaker import Weaker
from mmdiff.values.context import Context


@dataclass(frozen=True)
class SkipLayer(DifferenceGuider):
    """x + w (x - x_skipped), as in Stable Diffusion 3.5 and, for clips, STG (arXiv 2411.18664).

    blocks: indices of the blocks that the weaker prediction goes without; blocks of the middle lose
        structure, the first and the last lose the picture. One batched call cuts one set of them.
    """

    blocks: tuple[int, ...] = field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        blocks = tuple(self.blocks)
        is_index = [isinstance(one, int) and not isinstance(one, bool) for one in blocks]
        if not blocks or not all(is_index) or min(blocks) < 0 or len(set(blocks)) < len(blocks):
            raise ValueError(
                f"blocks is {blocks}; it must name the blocks to skip, each once, counted from 0: "
                "for example (2,)"
            )
        object.__setattr__(self, "blocks", tuple(sorted(blocks)))

    def weaken(self, strong: Weaker, negative_context: Context | None) -> Weaker:
        return strong.cut(blocks=self.blocks)
