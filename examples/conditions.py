"""Video and audio from an image and a sound: python examples/conditions.py IMAGE SOUND [FILE.mp4]

The image becomes the first frame, to the pixel; the video follows the sound.
"""

import sys

import torch

from mmdiff import FirstFrame, GivenAudio, MMDiffPipeline

image, sound, *output = sys.argv[1:]
pipe = MMDiffPipeline.from_pretrained()
out = pipe(
    "an object falling and bouncing slowly, a low ping at each bounce",
    conditions=[FirstFrame(image, keep_exact=True), GivenAudio(sound)],
    generator=torch.Generator().manual_seed(0),
)
out.clips[0].save(output[0] if output else "conditioned.mp4")
