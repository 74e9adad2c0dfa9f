"""diffusers' hands on our autoencoders: its names, its switches, its precisions, its hooks."""

from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.hooks import ModelHook, add_hook_to_module
from diffusers import ModelMixin

from mmdiff.autoencoders.posterior import Posterior
from tests.pipelines.tiny import tiny_components

SHAPES = {"vae": (2, 3, 9, 16, 16), "audio_vae": (2, 1, 16, 64)}
both = pytest.mark.parametrize("name", SHAPES)


def model_and_media(name: str) -> tuple[Any, torch.Tensor]:
    media = torch.randn(SHAPES[name], generator=torch.Generator().manual_seed(0)).tanh()
    return tiny_components()[name], media


@both
@torch.no_grad()
def test_answers_by_diffusers_names_are_the_inner_ones(name: str) -> None:
    model, media = model_and_media(name)
    posterior = model.encode(media)
    assert isinstance(posterior, Posterior) and posterior.latent_dist is posterior
    (in_a_tuple,) = model.encode(media, return_dict=False)
    assert torch.equal(in_a_tuple.mode(), posterior.mode())

    decoded = model.decode(posterior.mode())
    (plain,) = model.decode(posterior.mode(), return_dict=False)
    assert decoded.shape == media.shape and type(decoded.sample) is type(plain) is torch.Tensor
    assert torch.equal(decoded.sample, plain) and torch.equal(decoded, plain)
    assert type(decoded + 0) is torch.Tensor
    assert torch.equal(model(media).sample, plain)
    assert torch.equal(model(media, return_dict=False)[0], plain)
    assert model.config.scaling_factor == 1  # raw latents are what `decode` takes


@both
@torch.no_grad()
def test_a_reconstruction_through_a_draw_follows_its_generator(name: str) -> None:
    model, media = model_and_media(name)
    draws = [
        model(media, sample_posterior=True, generator=torch.Generator().manual_seed(seed)).sample
        for seed in (1, 1, 2)
    ]
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])


def test_gradients_pass_through_what_is_decoded() -> None:
    model, media = model_and_media("vae")
    model.decode(model.encode(media).mode()).square().mean().backward()
    assert all(weight.grad is not None for weight in model.parameters())


@both
@torch.no_grad()
def test_slicing_gives_each_clip_as_it_is_alone(name: str) -> None:
    model, media = model_and_media(name)
    alone = [model.encode(clip).mode() for clip in media.split(1)]
    heard = [model.decode(latents) for latents in alone]
    model.enable_slicing()
    latents = model.encode(media).mode()
    assert torch.equal(latents, torch.cat(alone))
    assert torch.equal(model.decode(latents), torch.cat(heard))
    model.disable_slicing()
    assert torch.allclose(model.encode(media).mode(), latents, atol=1e-5)


@torch.no_grad()
def test_tiling_is_the_stream_and_equals_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    model, media = model_and_media("vae")
    latents = model.encode(media).mode()
    frames = model.decode(latents)
    longest = []
    decode_chunk = type(model)._decode_chunk

    def counted(self: Any, chunk: torch.Tensor, stream: Any) -> torch.Tensor:
        longest.append(chunk.shape[2])
        return decode_chunk(self, chunk, stream)

    monkeypatch.setattr(type(model), "_decode_chunk", counted)
    model.enable_tiling()
    assert torch.allclose(model.encode(media).mode(), latents, atol=1e-5)
    assert torch.allclose(model.decode(latents), frames, atol=1e-5)
    assert longest == [1, 1, 1]


def test_sound_is_whole_so_tiling_it_is_refused_by_name() -> None:
    with pytest.raises(NotImplementedError, match="AudioAutoencoder"):
        model_and_media("audio_vae")[0].enable_tiling()


@both
@torch.no_grad()
def test_an_autoencoder_in_bf16_takes_media_and_latents_as_they_come(name: str) -> None:
    model, media = model_and_media(name)
    expected = model(media).sample
    model.to(torch.bfloat16)
    for dtype in (torch.float32, torch.bfloat16):
        latents = model.encode(media.to(dtype)).latent_dist.mode()  # fp32
        decoded = model.decode(latents).sample
        assert latents.dtype == torch.float32 and decoded.dtype == torch.bfloat16
        assert (decoded.float() - expected).abs().max() < 0.1 * expected.abs().max()


@pytest.mark.parametrize("name", [*SHAPES, "vocoder"])
@torch.no_grad()
def test_layerwise_casting_stores_small_and_computes_in_fp32(name: str) -> None:
    model: ModelMixin = tiny_components()[name]
    media = torch.randn(SHAPES.get(name, (2, 16, 64)), generator=torch.Generator().manual_seed(0))
    plain = model(media)
    before = model.get_memory_footprint()
    model.enable_layerwise_casting(torch.float8_e4m3fn, torch.float32)
    cast = model(media)
    if name != "vocoder":
        plain, cast = plain.sample, cast.sample
    assert model.get_memory_footprint() < before and model.dtype == torch.float32
    assert cast.dtype == torch.float32 and bool(cast.isfinite().all())
    assert 0 < (cast - plain).abs().max() < plain.abs().max()


@pytest.mark.parametrize("name", [*SHAPES, "vocoder"])
@pytest.mark.parametrize("settings", [{"variant": "ema"}, {"max_shard_size": "3KB"}])
def test_variants_and_shards_are_loaded_to_the_bit(
    tmp_path: Path, name: str, settings: dict[str, str]
) -> None:
    model: ModelMixin = tiny_components()[name]
    model.save_pretrained(tmp_path, **settings)
    assert (len(list(tmp_path.glob("*.safetensors"))) > 1) == ("max_shard_size" in settings)
    again = type(model).from_pretrained(tmp_path, variant=settings.get("variant"))
    assert "scaling_factor" not in (tmp_path / "config.json").read_text()
    for key, weight in model.state_dict().items():
        assert torch.equal(weight, again.state_dict()[key])


@both
@torch.no_grad()
def test_hooks_of_a_device_fire_for_encode_and_decode_as_for_forward(name: str) -> None:
    class Counted(ModelHook):
        calls = 0

        def pre_forward(self, module: Any, *args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            return args, kwargs

    model, media = model_and_media(name)
    hook = Counted()
    add_hook_to_module(model, hook)
    latents = model.encode(media).mode()
    model.decode(latents)
    assert hook.calls == 2
    if name == "vae":
        list(model.encode_stream([media]))
        list(model.decode_stream([latents]))
        assert hook.calls == 4
