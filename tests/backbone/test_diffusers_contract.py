"""What diffusers' own suites hold of a model, as laws of the transformer."""

from pathlib import Path

import pytest
import torch
from diffusers.models.attention_dispatch import attention_backend
from diffusers.training_utils import EMAModel
from peft import LoraConfig

from mmdiff.backbone.attention import AttentionProcessor
from mmdiff.backbone.transformer import DiffusionTransformer
from mmdiff.values.latents import ClipLatents
from tests.backbone.test_transformer import clip, close, level, text, tiny

ATTENTIONS = ["to_q", "to_k", "to_v", "to_out.0"]


@torch.no_grad()
def predicted(model: DiffusionTransformer) -> ClipLatents:
    return model(clip(), level(), text())


def adapted(seed: int = 0) -> DiffusionTransformer:
    model = tiny()
    torch.manual_seed(seed)
    model.add_adapter(
        LoraConfig(r=3, lora_alpha=5, target_modules=ATTENTIONS, init_lora_weights=False)
    )
    return model.eval()


@pytest.mark.parametrize("settings", [{"variant": "ema"}, {"max_shard_size": "20KB"}])
def test_variants_and_shards_are_loaded_to_the_bit(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    model = tiny()
    model.save_pretrained(tmp_path, **settings)
    files = list(tmp_path.glob("*.safetensors"))
    assert (len(files) > 1) == ("max_shard_size" in settings)
    again = DiffusionTransformer.from_pretrained(tmp_path, variant=settings.get("variant"))
    assert close(predicted(model), predicted(again), 0)
    if "variant" in settings:
        with pytest.raises(OSError, match="no file named"):
            DiffusionTransformer.from_pretrained(tmp_path)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_in_half_precision_levels_and_tables_stay_in_fp32(
    tmp_path: Path, dtype: torch.dtype
) -> None:
    tiny().save_pretrained(tmp_path)
    model = DiffusionTransformer.from_pretrained(tmp_path, dtype=dtype)
    assert model.dtype == dtype
    for name, weight in model.named_parameters():
        is_kept = "time_embed" in name or name.split(".")[-1] == "table"
        assert weight.dtype == (torch.float32 if is_kept else dtype), name
    with torch.no_grad():
        made = model(clip().to(dtype), level(), text().to(dtype))
    assert {half.dtype for _, half in made.items()} == {dtype}
    assert close(made.to(torch.float32), predicted(tiny()), 0.1)


@pytest.mark.parametrize("storage", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_layerwise_casting_stores_small_and_computes_as_before(storage: torch.dtype) -> None:
    model = tiny()
    before, plain = model.get_memory_footprint(), predicted(model)
    model.enable_layerwise_casting(storage_dtype=storage, compute_dtype=torch.float32)
    cast = predicted(model)
    assert model.get_memory_footprint() < 0.8 * before and model.dtype == torch.float32
    difference = cast.zip(plain, lambda near, exact: (near - exact).abs().max())
    assert all(0 < float(half) < 1 for _, half in difference.items())


def test_an_adapter_is_saved_loaded_merged_and_taken_off(tmp_path: Path) -> None:
    plain, model = predicted(tiny()), adapted()
    beside = predicted(model)
    assert not close(beside, plain, 1e-3)
    model.save_lora_adapter(tmp_path)
    model.unload_lora()
    assert close(predicted(model), plain, 0)
    model.load_lora_adapter(tmp_path, prefix=None, use_safetensors=True)
    assert close(predicted(model), beside, 0)
    model.fuse_lora()
    assert close(predicted(model), beside)
    model.unfuse_lora()
    model.disable_lora()
    assert close(predicted(model), plain)


def test_two_adapters_weigh_in_as_told() -> None:
    model = adapted()
    alone = predicted(model)
    model.add_adapter(
        LoraConfig(r=2, target_modules=ATTENTIONS, init_lora_weights=False), adapter_name="other"
    )
    model.set_adapters(["default", "other"], weights=[1.0, 0.0])
    assert close(predicted(model), alone)
    model.set_adapters(["default", "other"], weights=[1.0, 1.0])
    assert not close(predicted(model), alone, 1e-3)


def test_processors_of_attention_are_counted_and_exchanged() -> None:
    model = tiny()
    before = predicted(model)
    assert len(model.attn_processors) == 8  # in each of two blocks: slice, text, video, audio
    own = {name: AttentionProcessor() for name in model.attn_processors}
    model.set_attn_processor(dict(own))  # it empties what it is given
    assert model.attn_processors == own and close(predicted(model), before, 0)
    with pytest.raises(ValueError, match="number of processors"):
        model.set_attn_processor(dict(list(own.items())[:1]))
    with attention_backend("_native_math"):
        assert close(predicted(model), before)


def test_an_average_of_weights_by_diffusers_follows_and_takes_their_place() -> None:
    model = tiny()
    average = EMAModel(model.parameters(), decay=0.0)
    first = predicted(model)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.1)
    second = predicted(model)
    average.store(model.parameters())
    average.copy_to(model.parameters())
    assert close(predicted(model), first, 0)
    average.restore(model.parameters())
    assert close(predicted(model), second, 0)
