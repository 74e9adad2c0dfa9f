"""The bits of the product: sha256 of twenty calls and of the weights after a short training.

    python tools/bits.py calls              # 20 calls over conditions, guiders and schedulers
    python tools/bits.py training [--steps 50]

A refactor proves itself with it: the lines printed before and after are equal, on one machine with
one number of threads.
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import diffusers
import torch
from safetensors.torch import load_file

import mmdiff

PROMPT = (
    "a small red circle bouncing left and right quickly on a black background, "
    "a high ping at each bounce"
)
NEGATIVE = "a large blue square bouncing up and down slowly on a gray background, no sound"


def calls(clip: mmdiff.Clip) -> Iterator[tuple[str, dict[str, Any], Any]]:
    """(name, arguments of the call, scheduler or None: the checkpoint's own) of twenty calls.

    clip: of 33 frames with sound, that conditions are made from.
    """
    frames, sound = clip.frames, clip.waveform
    assert frames is not None and sound is not None
    box = [16, 16, 48, 48]
    flow = {"use_flow_sigmas": True, "flow_shift": 4.0, "prediction_type": "flow_prediction"}
    yield "plain", {}, None
    yield "two prompts, negative", {"prompt": [PROMPT, NEGATIVE], "negative_prompt": NEGATIVE}, None
    yield "still", {"num_frames": 1}, None
    yield "sound alone", {"modalities": "audio"}, None
    yield "longer, wider", {"num_frames": 41, "width": 96}, None
    yield "first frame", {"conditions": [mmdiff.FirstFrame(frames[0])]}, None
    yield "keyframes", {"conditions": [mmdiff.Keyframes({0.0: frames[0], 1.0: frames[16]})]}, None
    yield "extend", {"conditions": [mmdiff.Extend(clip, after_seconds=1.0)]}, None
    yield "given video", {"conditions": [mmdiff.GivenVideo(frames)]}, None
    yield "given audio", {"conditions": [mmdiff.GivenAudio(sound)]}, None
    yield "inpaint", {"conditions": [mmdiff.Inpaint(clip, box, seconds=[0.5, 1.0])]}, None
    yield "partial noise", {"conditions": [mmdiff.PartialNoise(clip, 0.5)]}, None
    yield "consistency", {"frame_consistency_scale": 1.0, "modality_scale": 1.0}, None
    yield "skip layer", {"guidance": mmdiff.SkipLayer(blocks=(2,))}, None
    yield "projected", {"guidance": mmdiff.Projected(3.0)}, None
    yield "zero star", {"guidance": mmdiff.ClassifierFreeZeroStar(3.0)}, None
    energies = [mmdiff.FlickerEnergy(0.1), mmdiff.SyncEnergy(0.1)]
    yield "energies, rescale", {"guidance": energies, "guidance_rescale": 0.5}, None
    yield "unipc", {}, diffusers.UniPCMultistepScheduler(**flow)
    yield (
        "dpm++ sde",
        {},
        diffusers.DPMSolverMultistepScheduler(algorithm_type="sde-dpmsolver++", **flow),
    )
    yield "heun", {}, diffusers.FlowMatchHeunDiscreteScheduler(shift=4.0)


def of_calls() -> Iterator[tuple[str, str]]:
    pipe = mmdiff.MMDiffPipeline.from_pretrained()
    pipe.set_progress_bar_config(disable=True)
    own = pipe.scheduler, pipe.audio_scheduler
    seed = torch.Generator().manual_seed(3)
    clip = pipe(PROMPT, num_inference_steps=4, generator=seed).clips[0]
    for name, arguments, scheduler in calls(clip):
        if scheduler is None:
            pipe.scheduler, pipe.audio_scheduler = own
        else:
            pipe.scheduler = pipe.audio_scheduler = scheduler
        arguments = {"prompt": PROMPT, "num_inference_steps": 4, **arguments}
        generator = [
            torch.Generator().manual_seed(row)
            for row in range(2 if isinstance(arguments["prompt"], list) else 1)
        ]
        clips = pipe(**arguments, generator=generator).clips
        yield name, sha256(*(part for made in clips for part in (made.frames, made.waveform)))


def of_training(steps: int) -> Iterator[tuple[str, str]]:
    """Weights of a run of diffusion, of one of a vocoder, exported."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "run")
        verbs = [
            *("train", "experiment=bounce/diffusion", "data=bounce_clips", f"max_steps={steps}"),
            *("data.batch_size=4", "data.num_workers=0", "task=mixture", f"output_dir={run}"),
        ]
        subprocess.run([sys.executable, "-m", "mmdiff", *verbs], check=True, stdout=sys.stderr)
        export = ["export", f"diffusion_run={run}", f"output_dir={run}.pipeline"]
        subprocess.run([sys.executable, "-m", "mmdiff", *export], check=True, stdout=sys.stderr)
        for part in ("transformer", "text_encoder"):
            for path in sorted(Path(f"{run}.pipeline", part).glob("*.safetensors")):
                weights = load_file(path)
                yield f"{part} after {steps} steps", sha256(*(weights[k] for k in sorted(weights)))


def sha256(*tensors: torch.Tensor | None) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        if tensor is not None:
            digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
            digest.update(tensor.contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=("calls", "training"))
    parser.add_argument("--steps", type=int, default=50)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = of_calls() if arguments.what == "calls" else of_training(arguments.steps)
    for name, value in found:
        sys.stdout.write(f"{value}  {name}\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
