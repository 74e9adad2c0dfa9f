"""TrunkInput: what all blocks of a forward pass share."""

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor

from mmdiff.backbone.ablation import Ablation
from mmdiff.backbone.modality_tokens import ModalityTokens
from mmdiff.backbone.slices import SliceLayout


@dataclass(frozen=True)
class TrunkInput:
    """What all blocks of a forward pass share.

    layout        how the clip lies in slices
    modulation    video and audio parts, each b s|1 n|1 6 d: shift, scale, gate of attention and of
                  feed-forward
    rotary        n head_dim/2, complex: positions inside a slice
    visible       (b s) 1 n n, bool: who sees whom inside a slice; None: all see all
    seconds       video f p and audio f p: when each token is
    context       b l d text tokens
    context_mask  b 1 1 l, bool; None: all count
    ablation      what to cut, per row
    """

    layout: SliceLayout
    modulation: tuple[Tensor | None, Tensor | None]
    rotary: Tensor
    visible: Tensor | None
    seconds: tuple[Tensor | None, Tensor | None]
    context: Tensor
    context_mask: Tensor | None
    ablation: Ablation | None


def slice_layout(
    video: ModalityTokens | None, audio: ModalityTokens | None, *, frames_per_slice: int | None
) -> SliceLayout:
    """How the tokens lie in slices; ValueError if picture and sound last differently long."""
    frames = [half.latent_frames for half in (video, audio) if half is not None]
    if not frames:
        raise ValueError("these latents have neither picture nor sound")
    if len(set(frames)) != 1:
        raise ValueError(
            f"the picture has {frames[0]} latent frames and the sound lasts for {frames[1]}; "
            "they must be as long"
        )
    return SliceLayout(
        latent_frames=frames[0],
        frames_per_slice=min(frames_per_slice or frames[0], frames[0]),
        video_sites=0 if video is None else video.tokens_per_frame,
        audio_tokens=0 if audio is None else audio.tokens_per_frame,
    )


def slice_positions(
    layout: SliceLayout, halves: list[ModalityTokens], *, frame_seconds: float
) -> Tensor:
    """n 3: positions of the tokens of the first slice, counted in latent frames and tokens.

    Slices are regular, and rotary scores depend on distances only: one table serves them all.
    """
    first = [half.positions[: layout.frames_per_slice] for half in halves]
    joined = torch.cat([rearrange(x, "f p axes -> (f p) axes") for x in first])
    rows, columns = max(half.canvas for half in halves)
    return joined * torch.tensor([1 / frame_seconds, rows, columns], device=joined.device)


def visible(
    layout: SliceLayout, batch_size: int, ablation: Ablation | None, device: torch.device
) -> Tensor | None:
    """(b s) 1 n n, bool: which tokens of a slice see which; None if all see all."""
    real = layout.visible(device)
    isolated = None if ablation is None else ablation.without_view
    if real is None and isolated is None:
        return None
    tokens = layout.video_tokens + layout.frames_per_slice * layout.audio_tokens
    sees = torch.ones(
        batch_size, layout.num_slices, tokens, tokens, dtype=torch.bool, device=device
    )
    if real is not None:
        sees &= real[None, :, None, :]
    if isolated is not None:
        is_video = torch.arange(tokens, device=device) < layout.video_tokens
        sees &= (is_video[:, None] == is_video) | ~isolated.to(device)[:, None, None, None]
    return rearrange(sees, "b s n m -> (b s) 1 n m")
