from pathlib import Path

import pytest
import torch

from mmdiff.backbone.transformer import DiffusionTransformer
from mmdiff.training.warm_start import grown_transformer
from mmdiff.values.context import Context
from mmdiff.values.latents import ClipLatents


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    model = DiffusionTransformer(
        2,
        12,
        2,
        text_dim=8,
        video_channels=4,
        audio_channels=2,
        audio_rows=4,
        time_attention_every=2,
    )
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(tmp_path / "transformer")
    return tmp_path


@torch.no_grad()
def test_a_grown_transformer_starts_where_the_saved_one_is(saved: Path) -> None:
    before = DiffusionTransformer.from_pretrained(saved / "transformer")
    after = grown_transformer(str(saved), time_attention_every=1).eval()
    assert before.blocks[0].video_time is None
    assert after.blocks[0].video_time is not None
    clip = ClipLatents(torch.randn(1, 4, 3, 4, 4), torch.randn(1, 2, 12, 4))
    time = ClipLatents(torch.full((1, 1, 1, 1, 1), 0.5), torch.full((1, 1, 1, 1), 0.5))
    context = Context(torch.randn(1, 3, 8), torch.ones(1, 3, dtype=torch.bool))
    old, new = before(clip, time, context), after(clip, time, context)
    assert torch.equal(old.video, new.video)
    assert torch.equal(old.audio, new.audio)


def test_only_what_reads_the_text_is_new_for_text_of_another_width(saved: Path) -> None:
    before = DiffusionTransformer.from_pretrained(saved / "transformer").state_dict()
    grown = grown_transformer(str(saved), time_attention_every=2, text_dim=5)
    after = grown.state_dict()
    new = [name for name in after if not torch.equal(before[name], after[name])]
    assert new == ["text_embed.0.weight"] and after[new[0]].shape[1] == grown.config.text_dim == 5


def test_it_cannot_lose_attention(saved: Path) -> None:
    with pytest.raises(ValueError, match="divisor of 2"):
        grown_transformer(str(saved), time_attention_every=3)
