"""The laws of the backbone, on a tiny one whose zero-initialised layers are drawn."""

import pytest
import torch
from torch import nn

from mmdiff.backbone.ablation import Ablation
from mmdiff.backbone.attention import plain_attention
from mmdiff.backbone.groups import GroupLayout
from mmdiff.backbone.rope import rotary_table, rotate
from mmdiff.backbone.transformer import DiffusionTransformer
from mmdiff.values.context import Context
from mmdiff.values.latents import ClipLatents

SLICES = [1, 2, None]


def tiny(**changes: object) -> DiffusionTransformer:
    torch.manual_seed(0)
    arguments: dict[str, object] = {
        "num_attention_heads": 2,
        "attention_head_dim": 12,
        "num_layers": 2,
        "text_dim": 8,
        "video_channels": 4,
        "audio_channels": 2,
        "audio_rows": 4,
        **changes,
    }
    model = DiffusionTransformer(**arguments).eval()
    for parameter in model.parameters():
        if parameter.abs().max() == 0:
            nn.init.normal_(parameter, std=0.2)
    return model


def clip(batch: int = 2, frames: int = 5, size: int = 4) -> ClipLatents:
    generator = torch.Generator().manual_seed(1)
    return ClipLatents(
        torch.randn(batch, 4, frames, size, size, generator=generator),
        torch.randn(batch, 2, 4 * frames, 4, generator=generator),
    )


def level(batch: int = 2, value: float = 0.5) -> ClipLatents:
    return ClipLatents(torch.full((batch, 1, 1, 1, 1), value), torch.full((batch, 1, 1, 1), value))


def text(batch: int = 2, length: int = 3) -> Context:
    tokens = torch.randn(batch, length, 8, generator=torch.Generator().manual_seed(2))
    return Context(tokens, torch.ones(batch, length, dtype=torch.bool))


def close(left: ClipLatents, right: ClipLatents, tolerance: float = 1e-5) -> bool:
    pairs = left.zip(right, lambda a, b: (a - b).abs().max())
    return all(float(pairs.get(name)) <= tolerance for name in pairs.modalities)


@torch.no_grad()
@pytest.mark.parametrize("frames_per_slice", SLICES)
def test_predictions_have_the_shape_of_the_latents(frames_per_slice: int | None) -> None:
    model = tiny(frames_per_slice=frames_per_slice)
    for latents in (
        clip(),
        clip(frames=1),
        ClipLatents(video=clip().video),
        ClipLatents(audio=clip().audio),
    ):
        prediction = model(latents, level(), text())
        assert (
            prediction.map(lambda half: torch.tensor(half.shape)).modalities == latents.modalities
        )
        assert prediction.zip(latents, lambda a, b: torch.tensor(a.shape == b.shape)).modalities
        for name in latents.modalities:
            assert prediction.get(name).shape == latents.get(name).shape


@torch.no_grad()
@pytest.mark.parametrize("frames_per_slice", SLICES)
def test_levels_may_be_given_per_sample_frame_or_site(frames_per_slice: int | None) -> None:
    model, latents = tiny(frames_per_slice=frames_per_slice), clip()
    sparse = model(latents, level(), text())
    per_frame = ClipLatents(torch.full((2, 1, 5, 1, 1), 0.5), torch.full((2, 1, 20, 1), 0.5))
    dense = ClipLatents(torch.full((2, 1, 5, 4, 4), 0.5), torch.full((2, 1, 20, 4), 0.5))
    assert close(sparse, model(latents, per_frame, text()))
    assert close(sparse, model(latents, dense, text()))
    dense.video[:, :, 0] = 0
    assert not close(sparse, model(latents, dense, text()))


@torch.no_grad()
def test_a_sample_is_the_same_alone_and_in_a_batch() -> None:
    model, latents = tiny(), clip(4)
    together = model(latents, level(4), text(4))
    alone = model(latents[2:3], level(1), text(4)[2:3])
    assert close(together[2:3], alone)


@torch.no_grad()
def test_padded_text_changes_nothing() -> None:
    model, latents = tiny(), clip()
    assert close(model(latents, level(), text()), model(latents, level(), text().pad_to(7)))


@torch.no_grad()
def test_picture_hears_the_sound_of_its_slice_and_not_of_others() -> None:
    """One slice per latent frame, and no attention over time:
    what sounds beside frame 3 reaches frame 3 alone."""
    model, latents = tiny(time_attention_every=99), clip()
    louder = latents.audio.clone()
    louder[:, :, 12:16] += 1
    change = model(ClipLatents(latents.video, louder), level(), text()).video
    change = (change - model(latents, level(), text()).video).abs().amax(dim=(0, 1, 3, 4))
    assert (change > 1e-4).tolist() == [False, False, False, True, False]


@torch.no_grad()
def test_time_attention_reaches_all_frames() -> None:
    model, latents = tiny(), clip()
    brighter = latents.video.clone()
    brighter[:, :, 0] += 1
    change = model(ClipLatents(brighter, latents.audio), level(), text())
    change = change.zip(model(latents, level(), text()), lambda a, b: (a - b).abs())
    assert (change.video.amax(dim=(0, 1, 3, 4)) > 1e-5).all()
    assert (change.audio.amax(dim=(0, 1, 3)) > 1e-6).all()


@torch.no_grad()
def test_window_of_the_whole_clip_is_full_joint_attention() -> None:
    latents = clip()
    window, joint = tiny(frames_per_slice=5), tiny(frames_per_slice=None)
    assert close(window(latents, level(), text()), joint(latents, level(), text()), 0)


@torch.no_grad()
def test_padding_of_the_last_window_is_not_seen() -> None:
    """Without attention over time, the first window of 5 frames is that of 4:
    what follows does not matter."""
    model, latents = tiny(frames_per_slice=4, time_attention_every=99), clip()
    shorter = ClipLatents(latents.video[:, :, :4], latents.audio[:, :, :16])
    assert close(
        ClipLatents(*_cut(model(latents, level(), text()), 4)), model(shorter, level(), text())
    )


def _cut(latents: ClipLatents, frames: int) -> tuple[torch.Tensor, torch.Tensor]:
    return latents.video[:, :, :frames], latents.audio[:, :, : 4 * frames]


@torch.no_grad()
def test_ablations_cut_their_rows_only() -> None:
    model, latents = tiny(), clip()
    full = model(latents, level(), text())
    rows = torch.tensor([False, True])
    for ablation in (
        Ablation(without_time=rows),
        Ablation(without_view=rows),
        Ablation(without_blocks=rows, blocks=(1,)),
    ):
        cut = model(latents, level(), text(), ablation=ablation)
        assert close(cut[:1], full[:1])
        assert not close(cut[1:], full[1:], 1e-4)


@torch.no_grad()
def test_without_view_equals_each_modality_alone() -> None:
    model, latents = tiny(), clip()
    everywhere = Ablation(without_view=torch.ones(2, dtype=torch.bool))
    apart = model(latents, level(), text(), ablation=everywhere)
    assert close(
        ClipLatents(video=apart.video), model(ClipLatents(video=latents.video), level(), text())
    )
    assert close(
        ClipLatents(audio=apart.audio), model(ClipLatents(audio=latents.audio), level(), text())
    )


def test_time_attention_starts_as_the_identity() -> None:
    torch.manual_seed(0)
    model = DiffusionTransformer(
        2, 12, 2, text_dim=8, video_channels=4, audio_channels=2, audio_rows=4
    )
    nn.init.normal_(model.video.proj_out.weight)
    nn.init.normal_(model.audio.proj_out.weight)
    cut = Ablation(without_time=torch.ones(2, dtype=torch.bool))
    with torch.no_grad():
        full, weaker = model(clip(), level(), text()), model(clip(), level(), text(), ablation=cut)
    assert close(full, weaker, 0)


def test_gradients_reach_every_parameter_and_checkpointing_does_not_change_them() -> None:
    gradients = []
    for checkpointing in (False, True):
        model = tiny().train()
        if checkpointing:
            model.enable_gradient_checkpointing()
        prediction = model(clip(), level(), text())
        (prediction.video.square().mean() + prediction.audio.square().mean()).backward()
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    for name, gradient in gradients[0].items():
        assert gradient is not None and gradient.abs().max() > 0, name
        assert torch.allclose(gradient, gradients[1][name], atol=1e-6), name


def test_mismatched_halves_and_odd_sizes_are_refused() -> None:
    model, latents = tiny(), clip()
    with pytest.raises(ValueError, match="must last equally long"):
        model(ClipLatents(latents.video[:, :, :4], latents.audio), level(), text())
    with pytest.raises(ValueError, match="multiples of 2"):
        model(ClipLatents(latents.video[..., :3], latents.audio), level(), text())
    with pytest.raises(ValueError, match="nearest number is 20"):
        model(ClipLatents(audio=latents.audio[:, :, :19]), level(), text())
    with pytest.raises(ValueError, match=r"got \{\}"):
        model(ClipLatents(), level(), text())


def test_saved_and_loaded_it_predicts_the_same(tmp_path) -> None:  # type: ignore[no-untyped-def]
    model = tiny()
    model.save_pretrained(tmp_path)
    again = DiffusionTransformer.from_pretrained(tmp_path)
    with torch.no_grad():
        assert close(model(clip(), level(), text()), again(clip(), level(), text()), 0)


def test_training_attention_equals_the_fused_kernel() -> None:
    query, key, value = torch.randn(3, 2, 7, 2, 8).unbind(0)
    mask = torch.rand(2, 1, 7, 7) > 0.3
    mask[..., 0] = True
    fused = nn.functional.scaled_dot_product_attention(
        *(x.transpose(1, 2) for x in (query, key, value)), attn_mask=mask
    ).transpose(1, 2)
    assert torch.allclose(plain_attention(query, key, value, mask), fused, atol=1e-6)


def test_rotary_scores_depend_on_distance_only() -> None:
    positions = torch.rand(6, 3) * 4
    moved = positions + torch.tensor([3.0, -2.0, 1.0])
    query, key = torch.randn(2, 1, 6, 1, 16).unbind(0)
    scores = [
        torch.einsum("bnkd,bmkd->bnm", rotate(query, table), rotate(key, table))
        for table in (rotary_table(positions, 16), rotary_table(moved, 16))
    ]
    assert torch.allclose(scores[0], scores[1], atol=1e-4)


@pytest.mark.parametrize("frames_per_slice", [1, 2, 3, 5])
def test_unpack_is_the_inverse_of_pack(frames_per_slice: int) -> None:
    layout = GroupLayout(5, frames_per_slice, {"video": 4, "audio": 3})
    tokens = {"video": torch.randn(2, 5, 4, 6), "audio": torch.randn(2, 5, 3, 6)}
    unpacked = layout.unpack(layout.pack(tokens))
    assert all(torch.equal(unpacked[name], part) for name, part in tokens.items())
