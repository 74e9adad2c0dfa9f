import pytest
import torch
from torch import nn

from mmdiff.autoencoders.objective import ReconstructionObjective, local_contrast
from mmdiff.autoencoders.posterior import Posterior
from mmdiff.autoencoders.video_autoencoder import VideoAutoencoder, to_frames, to_unit_range


@pytest.fixture
def autoencoder() -> VideoAutoencoder:
    """A tiny one whose zero-initialised layers are drawn, so that each of them counts."""
    torch.manual_seed(0)
    model = VideoAutoencoder(4, (8, 12, 16), 1, (8, 12, 16), 1).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model


def frames(count: int = 13, size: int = 16) -> torch.Tensor:
    return torch.randn(2, 3, count, size, size, generator=torch.Generator().manual_seed(1)).tanh()


@torch.no_grad()
@pytest.mark.parametrize("chunks", [(1, 4, 8), (5, 8), (9, 4)])
def test_streaming_equals_the_whole_at_once(
    autoencoder: VideoAutoencoder, chunks: tuple[int, ...]
) -> None:
    x = frames()
    whole = autoencoder.encode(x).mean
    streamed = [p.mean for p in autoencoder.encode_stream(x.split(chunks, dim=2))]
    assert torch.allclose(torch.cat(streamed, dim=2), whole, atol=1e-5)

    pieces = whole.split([1, 2, 1], dim=2)
    decoded = torch.cat(list(autoencoder.decode_stream(pieces)), dim=2)
    assert torch.allclose(decoded, autoencoder.decode(whole), atol=1e-5)


@torch.no_grad()
def test_the_past_does_not_see_the_future(autoencoder: VideoAutoencoder) -> None:
    x = frames()
    changed = x.clone()
    changed[:, :, 9:] = 0
    before, after = (autoencoder.encode(clip).mean for clip in (x, changed))
    assert torch.equal(before[:, :, :3], after[:, :, :3])
    assert not torch.equal(before[:, :, 3], after[:, :, 3])


@torch.no_grad()
def test_a_still_image_is_the_first_frame_of_a_clip(autoencoder: VideoAutoencoder) -> None:
    x = frames()
    alone, first = autoencoder.encode(x[:, :, :1]).mean, autoencoder.encode(x).mean[:, :, :1]
    assert torch.allclose(alone, first, atol=1e-5)
    assert autoencoder.decode(alone).shape == (2, 3, 1, 16, 16)


@torch.no_grad()
def test_shapes_are_as_told(autoencoder: VideoAutoencoder) -> None:
    x = frames()
    latents = autoencoder.encode(x).mean
    assert tuple(latents.shape[1:]) == autoencoder.latent_shape(tuple(x.shape[1:])) == (4, 4, 2, 2)
    assert autoencoder(x).sample.shape == x.shape


def test_illegal_inputs_are_named(autoencoder: VideoAutoencoder) -> None:
    with pytest.raises(ValueError, match="num_frames is 12"):
        autoencoder.encode(frames(12))
    with pytest.raises(ValueError, match="multiples of 8"):
        autoencoder.encode(frames(size=20))
    with pytest.raises(ValueError, match="chunk 1 has 3 frames"):
        list(autoencoder.encode_stream(frames().split([1, 3, 9], dim=2)))


@torch.no_grad()
def test_measured_scaling_gives_unit_variance_and_is_stored(
    autoencoder: VideoAutoencoder, tmp_path
) -> None:  # type: ignore[no-untyped-def]
    raw = 3 + 2 * torch.randn(4, 4, 3, 2, 2)
    autoencoder.measure_scaling(raw)
    scaled = autoencoder.scale(raw)
    assert scaled.mean().abs() < 1e-5
    assert abs(float(scaled.std()) - 1) < 1e-2
    assert torch.allclose(autoencoder.unscale(scaled), raw, atol=1e-5)
    autoencoder.save_pretrained(tmp_path)
    again = VideoAutoencoder.from_pretrained(tmp_path)
    assert torch.equal(again.latent_std, autoencoder.latent_std)


def test_pixels_survive_the_way_to_the_unit_range_and_back() -> None:
    pixels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16, 1).repeat(1, 1, 1, 1, 3)
    assert torch.equal(to_frames(to_unit_range(pixels)), pixels)


def test_kl_of_the_unit_gaussian_is_zero_and_of_others_is_not() -> None:
    zero = torch.zeros(2, 3, 4)
    assert torch.equal(Posterior(zero, zero).kl(), torch.zeros(2))
    assert (Posterior(zero + 1, zero).kl() == 0.5).all()


def test_a_posterior_sample_has_the_posterior_s_moments() -> None:
    posterior = Posterior(torch.full((1, 20_000), 2.0), torch.full((1, 20_000), -2.0))
    draw = posterior.sample(torch.Generator().manual_seed(0))
    assert abs(float(draw.mean()) - 2) < 0.01
    assert abs(float(draw.std()) - torch.tensor(-1.0).exp()) < 0.01


def test_the_objective_learns_a_small_clip() -> None:
    torch.manual_seed(0)
    model = VideoAutoencoder(4, (16, 16, 16), 1, (16, 16, 16), 1)
    x, objective = frames(5), ReconstructionObjective()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    losses = []
    for _ in range(25):
        loss = objective(model, x)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    assert losses[-1] < 0.8 * losses[0]


def test_contrast_is_where_the_edge_is() -> None:
    x = -torch.ones(1, 3, 1, 32, 32)
    x[..., 16:] = 1
    contrast = local_contrast(x, 9)
    assert contrast[..., :8].max() == 0
    assert contrast[..., 14:18].min() == 1
