"""Parameters and floating-point operations of the backbone presets, as the table in the docs.

    python tools/count.py [preset ...] [--write docs/backbone.md]

Counted are the operations of one forward pass of a clip of 33 frames of 64 x 64 with sound, and a
prompt of 64 tokens. The models are built on the meta device: nothing is computed, and the largest
preset needs no memory. Matrix products are counted, at two operations for a multiplication with its
addition (torch.utils.flop_counter); norms, activations and rotations are not. Guidance doubles the
passes.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from torch.utils.flop_counter import FlopCounterMode

from mmdiff.backbone.transformer import DiffusionTransformer
from mmdiff.values.context import Context
from mmdiff.values.latents import ClipLatents
from mmdiff.values.shapes import ClipShape, LatentGrid

CONF = Path(__file__).resolve().parents[1] / "conf"
PRESETS = ("tiny", "small", "base", "large")
TEXT_TOKENS = 64
HEADER = (
    "| preset | width | heads | blocks | with attention over time | parameters | operations |",
    "|---|---|---|---|---|---|---|",
)
BEGIN, END = "<!-- python tools/count.py -->\n", "\n<!-- end -->"


@dataclass(frozen=True)
class Count:
    preset: str
    settings: dict[str, Any]
    parameters: int
    operations: int

    def row(self) -> str:
        heads, blocks = self.settings["num_attention_heads"], self.settings["num_layers"]
        width = heads * self.settings["attention_head_dim"]
        over_time = blocks // self.settings["time_attention_every"]
        counts = f"{rounded(self.parameters)} | {rounded(self.operations)}"
        return f"| {self.preset} | {width} | {heads} | {blocks} | {over_time} | {counts} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("presets", nargs="*", help=f"of {', '.join(PRESETS)}; default: all")
    parser.add_argument("--write", type=Path, help="a page whose table is replaced")
    arguments = parser.parse_args()
    unknown = set(arguments.presets) - set(PRESETS)
    if unknown:
        parser.error(f"no preset {', '.join(sorted(unknown))}; there are {', '.join(PRESETS)}")
    rows = [count(preset).row() for preset in arguments.presets or PRESETS]
    text = "\n".join([*HEADER, *rows])
    print(text)
    if arguments.write is not None:
        page = arguments.write.read_text(encoding="utf-8")
        before, after = page.split(BEGIN)[0], page.split(END)[1]
        arguments.write.write_text(before + BEGIN + text + END + after, encoding="utf-8")
    return 0


def count(preset: str) -> Count:
    """The counts of conf/backbone/`preset`.yaml, with the text encoder of the bundled model."""
    settings = load("backbone", preset)
    settings["text_dim"] = load("text", "small")["d_model"]
    with torch.device("meta"):
        model = DiffusionTransformer(**settings).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(*clip(settings["text_dim"]))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Count(preset, settings, parameters, counter.get_total_flops())


def load(group: str, option: str) -> dict[str, Any]:
    node = yaml.safe_load((CONF / group / f"{option}.yaml").read_text(encoding="utf-8"))
    return {key: value for key, value in node.items() if not key.startswith("_")}


def clip(text_dim: int) -> tuple[ClipLatents, ClipLatents, Context]:
    """Latents, time and context of the default clip, without values."""
    shape, grid = ClipShape(), LatentGrid()
    video = grid.video_shape(shape.num_frames, shape.height, shape.width)
    audio = grid.audio_shape(shape.num_frames)
    with torch.device("meta"):
        latents = ClipLatents(torch.zeros(1, *video), torch.zeros(1, *audio))
        time = ClipLatents(torch.zeros(1, 1, 1, 1, 1), torch.zeros(1, 1, 1, 1))
        tokens = torch.zeros(1, TEXT_TOKENS, text_dim)
    return latents, time, Context(tokens, torch.ones(1, TEXT_TOKENS, dtype=torch.bool))


def rounded(number: int) -> str:
    """Three digits and a unit: 8,750,400 -> 8.75 M."""
    thousands = 0
    while number >= 999.5 * 1000**thousands:
        thousands += 1
    return f"{number / 1000**thousands:.3g} {('', 'k', 'M', 'G', 'T')[thousands]}"


if __name__ == "__main__":
    sys.exit(main())
