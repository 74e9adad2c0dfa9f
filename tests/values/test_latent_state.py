"""LatentState: what is given comes back, how firmly says up to which noise level it is known."""

import pytest
import torch

from mmdiff.values import masks
from mmdiff.values.latent_state import LatentState
from mmdiff.values.latents import ClipLatents

GENERATOR = torch.Generator().manual_seed(0)
VIDEO = torch.randn(2, 3, 4, 2, 2, generator=GENERATOR)
AUDIO = torch.randn(2, 3, 8, 2, generator=GENERATOR)
NOISE = LatentState(ClipLatents(torch.zeros_like(VIDEO), torch.zeros_like(AUDIO)))
LEVELS = ClipLatents(torch.full((2, 1, 1, 1, 1), 0.7), torch.full((2, 1, 1, 1), 0.4))


def half(latents: ClipLatents, name: str) -> torch.Tensor:
    value = getattr(latents, name)
    assert isinstance(value, torch.Tensor)
    return value


def test_a_wholly_given_half_comes_back_exactly_and_has_no_noise() -> None:
    state = NOISE.give("video", VIDEO, masks.whole_video())
    assert torch.equal(half(state.hold(NOISE.latents), "video"), VIDEO)
    assert torch.equal(half(state.hold(NOISE.latents), "audio"), half(NOISE.latents, "audio"))
    assert half(state.time(LEVELS), "video").eq(0).all()
    assert half(state.time(LEVELS), "audio").eq(0.4).all()


def test_partly_firm_tokens_are_not_held_and_their_level_is_bounded() -> None:
    state = NOISE.give("video", VIDEO, 0.5 * masks.frames_at(4, [1]))
    assert torch.equal(half(state.hold(NOISE.latents), "video"), half(NOISE.latents, "video"))
    time = half(state.time(LEVELS), "video")
    assert time[:, :, 1].eq(0.5).all()
    assert time[:, :, [0, 2, 3]].eq(0.7).all()
    generated = state.generated("video")
    assert generated is not None and generated.eq(1).all()


def test_what_is_given_twice_adds_up_and_the_firmer_wins() -> None:
    state = NOISE.give("video", VIDEO, masks.prefix_frames(4, 2))
    state = state.give("video", -VIDEO, 0.5 * masks.suffix_frames(4, 3))
    held = half(state.hold(NOISE.latents), "video")
    assert torch.equal(held[:, :, :2], VIDEO[:, :, :2])
    assert torch.equal(half(state.given, "video")[:, :, 2:], -VIDEO[:, :, 2:])
    assert half(state.mask, "video")[0, 0, :, 0, 0].tolist() == [1, 1, 0.5, 0.5]


def test_disjoint_gifts_commute() -> None:
    first = (VIDEO, masks.prefix_frames(4, 1))
    second = (-VIDEO, masks.suffix_frames(4, 2))
    one = NOISE.give("video", *first).give("video", *second)
    other = NOISE.give("video", *second).give("video", *first)
    assert torch.equal(
        half(one.hold(NOISE.latents), "video"), half(other.hold(NOISE.latents), "video")
    )
    assert torch.equal(half(one.mask, "video"), half(other.mask, "video"))


def test_rows_of_several_states_keep_what_each_is_given() -> None:
    one = LatentState(NOISE.latents[:1]).give("video", VIDEO[:1], masks.whole_video())
    other = LatentState(NOISE.latents[1:]).give("audio", AUDIO[1:], masks.span(8, 2, 4))
    both = LatentState.cat([one, other])
    held = both.hold(NOISE.latents)
    assert torch.equal(half(held, "video"), torch.cat([VIDEO[:1], NOISE.latents.video[1:]]))  # type: ignore[index]
    assert torch.equal(half(held, "audio")[1, :, 2:4], AUDIO[1, :, 2:4])
    assert half(held, "audio")[0].eq(0).all()


def test_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"video latents of shape \(3, 3, 2, 2\)"):
        NOISE.give("video", VIDEO[:, :, :3], masks.whole_video())
    with pytest.raises(ValueError, match="own are none"):
        LatentState(ClipLatents(VIDEO)).give("audio", AUDIO, masks.whole_audio())


def test_masks_and_their_complements_cover_the_clip() -> None:
    assert (masks.prefix_frames(5, 2) + masks.suffix_frames(5, 3)).eq(1).all()
    assert masks.frames_at(5, [0, -1]).flatten().tolist() == [1, 0, 0, 0, 1]
    assert masks.box(4, 6, top=1, left=2, bottom=3, right=6).sum() == 8
    assert masks.span(6, 2, 5).flatten().tolist() == [0, 0, 1, 1, 1, 0]
