import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import CLIPConfig, CLIPModel, PreTrainedTokenizerFast

from mmdiff.guidance.clip_energy import CLIPEnergy, load_clip
from tests.guidance.tiny_decode import assert_slope_is_that_of_finite_differences, known, latents

WORDS = ["<pad>", "<unk>", "<start>", "<end>", "a", "red", "blue", "circle", "square"]
PROMPTS = ("a red circle", "a blue square")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A CLIP of one layer each, with random weights, and a tokenizer of words."""
    where = tmp_path_factory.mktemp("clip")
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>", special_tokens=[("<start>", 2), ("<end>", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", eos_token="<end>"
    ).save_pretrained(where)
    layer = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {**layer, "intermediate_size": 16, "vocab_size": 9, "max_position_embeddings": 6}
    vision = {**layer, "intermediate_size": 16, "image_size": 16, "patch_size": 8}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        ids = {"eos_token_id": 3, "bos_token_id": 2, "pad_token_id": 0}
        config = CLIPConfig(text_config={**text, **ids}, vision_config=vision, projection_dim=8)
        clip = CLIPModel(config)
        for parameter in clip.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.3)
        clip.save_pretrained(where)
    return str(where)


def test_its_slope_is_that_of_finite_differences(folder):
    load_clip(folder, torch.device("cpu"))[0].double()  # the one that is kept
    energy = CLIPEnergy(0.1, model=folder, num_frames=2)
    clean = latents()
    assert_slope_is_that_of_finite_differences(energy, clean, known(clean, prompts=PROMPTS))
    load_clip.cache_clear()


def test_the_energy_is_one_minus_the_cosine_that_transformers_gives(folder):
    energy = CLIPEnergy(0.1, model=folder, num_frames=1)
    clean = latents(dtype=torch.float32)
    told = known(clean, prompts=PROMPTS)
    clip, tokenizer = load_clip(folder, torch.device("cpu"))
    pictures = (told.frames(clean)[:, :, 0] + 1) / 2
    resized = torch.nn.functional.interpolate(pictures, (16, 16), mode="bicubic", antialias=True)
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])[:, None, None]
    deviation = torch.tensor([0.26862954, 0.26130258, 0.27577711])[:, None, None]
    inputs = tokenizer(list(PROMPTS), return_tensors="pt")
    out = clip(**inputs, pixel_values=(resized - mean) / deviation)
    expected = 1 - (out.image_embeds * out.text_embeds).sum(-1)
    torch.testing.assert_close(energy.energy(clean, told), expected, rtol=1e-4, atol=1e-5)


def test_going_down_it_brings_the_frames_towards_the_text(folder):
    energy = CLIPEnergy(0.1, model=folder)
    clean = latents(dtype=torch.float32)
    told = known(clean, 0.5, prompts=PROMPTS)
    before = energy.energy(clean, told)
    for _ in range(8):
        clean = clean.zip(energy.slope(clean, told), torch.sub)
    assert (energy.energy(clean, told) < 0.8 * before).all()


def test_a_prompt_of_its_own_goes_before_that_of_the_call(folder):
    clean = latents(dtype=torch.float32)
    own = CLIPEnergy(0.1, model=folder, prompt=PROMPTS[1])
    told = known(clean, prompts=(PROMPTS[1],) * 2)
    of_call = CLIPEnergy(0.1, model=folder).energy(clean, told)
    torch.testing.assert_close(own.energy(clean, known(clean)), of_call)


def test_a_prompt_longer_than_clip_can_read_is_cut(folder):
    clean = latents(dtype=torch.float32)
    told = known(clean, prompts=("a red circle " * 9,) * 2)
    assert CLIPEnergy(0.1, model=folder).energy(clean, told).isfinite().all()


def test_without_words_it_says_what_to_do(folder):
    clean = latents(dtype=torch.float32)
    with pytest.raises(ValueError, match="needs a prompt for each of 2 clips and there are none"):
        CLIPEnergy(0.1, model=folder).energy(clean, known(clean))
