import pytest
import torch

from mmdiff.values.context import Context
from mmdiff.values.latent_state import LatentState
from mmdiff.values.latents import ClipLatents


def clip(batch: int = 2) -> ClipLatents:
    return ClipLatents(torch.randn(batch, 4, 3, 2, 2), torch.randn(batch, 2, 12, 4))


def test_map_touches_only_what_is_there() -> None:
    picture = ClipLatents(video=torch.ones(1, 1, 1, 1, 1))
    doubled = picture.map(lambda half: half * 2)
    assert doubled.audio is None
    assert doubled.modalities == ("video",)
    assert float(doubled.video) == 2


def test_zip_refuses_different_halves() -> None:
    with pytest.raises(ValueError, match="cannot pair"):
        clip().zip(ClipLatents(video=clip().video), torch.add)


def test_repeat_and_chunk_are_inverse() -> None:
    one = clip()
    for part in one.repeat(3).chunk(3):
        assert torch.equal(part.video, one.video)
        assert torch.equal(part.audio, one.audio)


def test_a_fully_kept_mask_returns_the_input_exactly() -> None:
    given, noisy = clip(), clip()
    mask = ClipLatents(torch.ones(2, 1, 3, 2, 2), torch.ones(2, 1, 12, 4))
    held = LatentState(noisy, given, mask).hold(noisy)
    assert torch.equal(held.video, given.video)
    assert torch.equal(held.audio, given.audio)


def test_given_tokens_have_time_zero_and_others_keep_theirs() -> None:
    given = clip()
    mask = ClipLatents(video=torch.zeros(2, 1, 3, 1, 1))
    mask.video[:, :, 0] = 1
    state = LatentState(given, ClipLatents(video=given.video), mask)
    levels = ClipLatents(torch.full((2, 1, 1, 1, 1), 0.7), torch.full((2, 1, 1, 1), 0.3))
    time = state.time(levels)
    assert time.video[:, :, 0].abs().max() == 0
    assert torch.allclose(time.video[:, :, 1:], torch.tensor(0.7))
    assert torch.equal(time.audio, levels.audio)


def test_contexts_join_padded_and_masked() -> None:
    short = Context(torch.ones(1, 2, 3), torch.ones(1, 2, dtype=torch.bool))
    long = Context(torch.ones(2, 5, 3), torch.ones(2, 5, dtype=torch.bool))
    both = Context.cat([short, long])
    assert both.tokens.shape == (3, 5, 3)
    assert both.mask.sum(1).tolist() == [2, 5, 5]
    assert both.tokens[0, 2:].abs().max() == 0


def test_replaced_rows_read_the_other_context() -> None:
    context = Context(torch.ones(3, 4, 2), torch.ones(3, 4, dtype=torch.bool))
    empty = Context(torch.zeros(1, 1, 2), torch.ones(1, 1, dtype=torch.bool))
    mixed = context.replace_rows(torch.tensor([False, True, False]), empty)
    assert mixed.mask.sum(1).tolist() == [4, 1, 4]
    assert mixed.tokens[1].abs().max() == 0


def test_a_context_checks_its_shapes() -> None:
    with pytest.raises(ValueError, match="b l d and b l"):
        Context(torch.ones(2, 3, 4), torch.ones(2, 4, dtype=torch.bool))
