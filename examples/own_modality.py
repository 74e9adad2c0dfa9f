"""A third modality beside video and audio, in one file: python examples/own_modality.py [STEPS]

The modality is a track: where the object is, x and y, at each video latent frame. An adapter says
how its latents become tokens; state, objective and sampler are those that video and audio have. A
tiny model is trained on drawn clips, and then reads the track off clips that it has not seen: the
video is given (time 0), the track is sampled from noise.
"""

import sys

import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from einops import rearrange
from torch import Tensor

from mmdiff import ClipLatents, Context, DiffusionTransformer, MMDiffPipeline
from mmdiff.backbone.adapters.adapter import Adapter
from mmdiff.backbone.adapters.time_attention import AudioTimeAttention
from mmdiff.bounce.dataset import BounceDataset
from mmdiff.diffusion.denoiser import Denoiser
from mmdiff.diffusion.noise import NoiseKey
from mmdiff.diffusion.noise_schedule import Flow
from mmdiff.diffusion.objective import DiffusionObjective
from mmdiff.diffusion.sampler import Sampler
from mmdiff.diffusion.scheduler import MatchedScheduler
from mmdiff.values.latent_state import LatentState

SPREAD = 4.0  # of positions in parts of the frame, to about unit variance


class TrackAdapter(Adapter):
    """Latents  b 2 f  as one token per latent frame."""

    time_attention = AudioTimeAttention  # all tokens attend to each other

    def __init__(self, dim: int, *, frame_seconds: float) -> None:
        super().__init__(2, dim)
        self.frame_seconds = frame_seconds

    def patchify(self, latents: Tensor) -> Tensor:
        return rearrange(latents, "b c f -> b f 1 c")

    def unpatchify(self, patches: Tensor, shape: torch.Size) -> Tensor:
        return rearrange(patches, "b f 1 c -> b c f")

    def patchify_time(self, time: Tensor) -> Tensor:
        return rearrange(time, "b 1 f -> b f 1")

    def positions(self, shape: torch.Size, device: torch.device) -> Tensor:
        seconds = torch.arange(shape[-1], device=device) * self.frame_seconds
        return torch.stack([seconds, seconds * 0, seconds * 0], dim=-1)[:, None]

    def grid(self, shape: torch.Size) -> tuple[int, int]:
        return 1, 1


class TrackTransformer(DiffusionTransformer):
    """Ours with a third modality; the trunk is as it was."""

    def make_adapters(self, dim: int, *, frame_seconds: float) -> dict[str, Adapter]:
        adapters = super().make_adapters(dim, frame_seconds=frame_seconds)
        return {**adapters, "track": TrackAdapter(dim, frame_seconds=frame_seconds)}


def clips(num: int, *, seed: int) -> ClipLatents:
    """Drawn clips: video latents of the bundled autoencoder, and the true track."""
    pipe = MMDiffPipeline.from_pretrained()
    dataset, grid = BounceDataset(num, seed), pipe.latent_grid
    video, tracks = [], []
    for index in range(num):
        frames = rearrange(dataset[index].frames, "f h w c -> 1 c f h w").float() / 127.5 - 1
        with torch.no_grad():
            video.append(pipe.vae.scale(pipe.vae.encode(frames).latent_dist.mode()))
        seconds = torch.tensor([float(s) for s in grid.video_seconds(video[0].shape[2])])
        tracks.append(torch.stack(dataset.event(index).positions(seconds)))
    return ClipLatents(torch.cat(video), others={"track": (torch.stack(tracks) - 0.5) * SPREAD})


def no_text(rows: int, width: int) -> Context:
    return Context(torch.zeros(rows, 1, width), torch.ones(rows, 1, dtype=torch.bool))


def with_video(latents: ClipLatents, video: Tensor) -> LatentState:
    """The state in which the video is given and everything else is to be generated."""
    return LatentState(latents).give("video", video, torch.ones(len(video), 1, 1, 1, 1))


def train(model: TrackTransformer, data: ClipLatents, *, steps: int, batch: int = 16) -> float:
    """The mean loss of the last tenth of the steps."""
    objective, losses = DiffusionObjective(), []
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for step in range(steps):
        rows = torch.arange(step * batch, (step + 1) * batch) % data.batch_size
        clean = data[rows]
        state = with_video(clean, clean.video) if step % 2 else LatentState(clean)
        key = NoiseKey(0, step, tuple(rows.tolist()))
        loss = objective(model, state, no_text(batch, model.config.text_dim), key)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return sum(losses[-max(1, steps // 10) :]) / max(1, steps // 10)


@torch.no_grad()
def read_track(model: TrackTransformer, video: Tensor, *, steps: int = 10) -> Tensor:
    """b 2 f: the track, sampled from noise with the video given."""
    generator = torch.Generator().manual_seed(0)
    track = torch.randn(len(video), 2, video.shape[2], generator=generator)
    schedulers = {
        name: MatchedScheduler(FlowMatchEulerDiscreteScheduler(), Flow())
        for name in ("video", "track")
    }
    for scheduler in schedulers.values():
        scheduler.set_timesteps(steps)
    sampler = Sampler(schedulers, with_video(ClipLatents(video, others={"track": track}), video))
    denoise = Denoiser(model, Flow(), "velocity")
    context, state = no_text(len(video), model.config.text_dim), sampler.start
    for index in sampler.calls:
        clean = denoise(state.latents, sampler.time(index, state), context)
        state = sampler.step(index, state, clean, [generator] * len(video))
    return state.latents.others["track"]


def main(steps: int = 400) -> float:
    """The mean distance to the true track over that of a guess, the middle of the frame."""
    torch.manual_seed(0)
    data, unseen = clips(96, seed=1), clips(16, seed=2)
    model = TrackTransformer(4, 24, num_layers=3, text_dim=8, audio_rows=16)
    loss = train(model, data, steps=steps)
    true = unseen.others["track"]
    distance = (read_track(model.eval(), unseen.video) - true).norm(dim=1).mean()
    ratio = float(distance / true.norm(dim=1).mean())
    sys.stdout.write(f"loss {loss:.3f}; distance to the true track over a guess's {ratio:.2f}\n")
    return ratio


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
