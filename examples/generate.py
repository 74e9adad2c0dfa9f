"""A clip from a prompt: python examples/generate.py [FILE.mp4]"""

import sys

import torch

from mmdiff import MMDiffPipeline

pipe = MMDiffPipeline.from_pretrained()
out = pipe(
    "a small red circle bouncing left and right quickly on a black background, "
    "a high ping at each bounce",
    num_inference_steps=20,
    generator=torch.Generator().manual_seed(0),
)
out.clips[0].save(sys.argv[1] if len(sys.argv) > 1 else "circle.mp4")
