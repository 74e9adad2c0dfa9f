"""Does the whole path work on clips like yours? Learn a few of them by heart and measure how well.

    python tools/overfit.py FOLDER --output-dir runs/overfit [--num-frames 17] [--side 64]

data-check -> fine-tune of the video autoencoder -> encode -> fine-tune of diffusion -> export ->
generate from noise with each caption as the prompt. Prints, for every clip of the folder (a few,
each with a caption of its own), the PSNR of what was generated against the clip itself, and of
what the autoencoder alone makes of it. Each part is resumed where it stopped.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import torch

from mmdiff.autoencoders.video_autoencoder import VideoAutoencoder, to_frames, to_unit_range
from mmdiff.data.clip_spec import ClipSpec
from mmdiff.data.listed_clips import ListedClips
from mmdiff.data.sources.folder import ClipFolder
from mmdiff.evaluation.reconstruction import psnr
from mmdiff.pipelines.pipeline import MMDiffPipeline
from mmdiff.values.sample import Sample

SAMPLES_A_STEP = 16  # of diffusion: each is another noise level


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("clips", type=Path, help="folder with captions, as for data=folder")
    parser.add_argument("--output-dir", type=Path, required=True)
    parser.add_argument("--num-frames", type=int, default=17)
    parser.add_argument("--side", type=int, default=64, help="height and width, pixels")
    parser.add_argument("--autoencoder-steps", type=int, default=600)
    parser.add_argument("--diffusion-steps", type=int, default=600)
    arguments = parser.parse_args()
    spec = ClipSpec(num_frames=arguments.num_frames, height=arguments.side, width=arguments.side)
    samples = _samples(arguments.clips, spec)
    pipeline = train(arguments, num_clips=len(samples))
    for name, generated, reconstructed in measured(pipeline, samples):
        sys.stdout.write(f"{name:<24} from noise {generated:5.1f} dB")
        sys.stdout.write(f"   autoencoder alone {reconstructed:5.1f} dB\n")
    return 0


def _samples(folder: Path, spec: ClipSpec) -> dict[str, Sample]:
    """The fitted clips by name; SystemExit where one is bad or has no caption of its own."""
    clips = ListedClips(ClipFolder(str(folder)), spec)
    found = {clips.entries[index].key: clips[index] for index in range(len(clips.entries))}
    bad = [clip.message for clip in found.values() if not isinstance(clip, Sample)]
    samples = {key: clip for key, clip in found.items() if isinstance(clip, Sample)}
    if bad or len({sample.caption for sample in samples.values()}) < len(samples):
        raise SystemExit("\n".join(bad) or "several clips have the same caption")
    return samples


def train(arguments: argparse.Namespace, *, num_clips: int) -> Path:
    """The folder of the pipeline that has learned the clips."""
    folder = arguments.output_dir.resolve()
    sizes = {"num_frames": arguments.num_frames, "height": arguments.side, "width": arguments.side}
    spec = [f"data.spec.{name}={value}" for name, value in sizes.items()]
    files = [f"data.root={arguments.clips.resolve()}", *spec]
    vae, cache, own, pipeline = (folder / name for name in ("vae", "cache", "own", "pipeline"))
    batch = f"data.batch_size={min(num_clips, 8)}"
    mmdiff("data-check", "data=folder", *files, f"output_dir={folder / 'check'}")
    if not (vae / "components").is_dir():
        steps = f"max_steps={arguments.autoencoder_steps}"
        words = ["experiment=finetune/video_autoencoder", *files, batch, steps]
        mmdiff("train", *words, f"output_dir={vae}")
    words = ["data=folder", *files, f"vae={vae / 'components/vae'}", f"folder={cache}"]
    mmdiff("encode", *words, "precision=float32", f"output_dir={folder / 'encode'}")
    if not (own / "components").is_dir():
        steps = f"max_steps={arguments.diffusion_steps}"
        words = ["experiment=finetune/diffusion", f"data.dataset.folder={cache}", steps]
        several = f"trainer.accumulate_grad_batches={SAMPLES_A_STEP // min(num_clips, 8)}"
        mmdiff("train", *words, batch, several, "task=joint", f"output_dir={own}")
    words = [f"vae_run={vae}", f"diffusion_run={own}", f"output_dir={pipeline}", "overwrite=true"]
    defaults = [f"default_{name}={value}" for name, value in sizes.items()]
    mmdiff("export", *words, *defaults, "dtype=float32", "default_guidance_scale=1.0")
    return pipeline


def mmdiff(*words: str) -> None:
    """Run a verb and stop if it fails."""
    subprocess.run([sys.executable, "-m", "mmdiff", *words], check=True)


def measured(pipeline: Path, samples: dict[str, Sample]) -> list[tuple[str, float, float]]:
    """Name, PSNR from noise and PSNR of the autoencoder alone, in dB, of every clip."""
    pipe = MMDiffPipeline.from_pretrained(pipeline)
    rows = []
    for name, sample in samples.items():
        if sample.frames is None:
            raise SystemExit(f"{name} has no picture to compare")
        made = pipe(sample.caption, generator=torch.Generator().manual_seed(0)).clips[0].frames
        alone = reconstruction(pipe.vae, sample.frames)
        rows.append((name, psnr(sample.frames, made), psnr(sample.frames, alone)))
    return rows


@torch.no_grad()
def reconstruction(vae: VideoAutoencoder, frames: torch.Tensor) -> torch.Tensor:
    """What the autoencoder makes of uint8 `frames height width 3`."""
    x = to_unit_range(frames[None])
    return to_frames(vae(x))[0]


if __name__ == "__main__":
    sys.exit(main())
