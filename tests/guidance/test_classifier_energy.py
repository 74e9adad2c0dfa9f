import pytest
import torch
from einops import reduce
from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

from mmdiff.guidance.classifier_energy import ClassifierEnergy, ImageClassifier
from tests.guidance.tiny_decode import assert_slope_is_that_of_finite_differences, known, latents

PATTERNS = {
    "frames": "b c h w -> b c",
    "clip": "b c f h w -> b c",
    "waveform": "b (c s) -> b c",
    "log_mel": "b 1 t c -> b c",
}


def by_means(sees: str):
    """Classes by the mean of each channel, of each fifth of the sound, of each bin."""
    axes = {"c": 4} if sees == "waveform" else {}
    return lambda media: 3 * reduce(media, PATTERNS[sees], "mean", **axes)


@pytest.mark.parametrize("sees", PATTERNS)
def test_its_slope_is_that_of_finite_differences(sees):
    energy = ClassifierEnergy(0.1, classifier=by_means(sees), target=1, sees=sees, frames_every=2)
    clean = latents()
    assert_slope_is_that_of_finite_differences(energy, clean, known(clean))


@pytest.mark.parametrize("target", [0, 2])
@pytest.mark.parametrize("sees", PATTERNS)
def test_going_down_it_makes_the_target_likelier(sees, target):
    energy = ClassifierEnergy(0.2, classifier=by_means(sees), target=target, sees=sees)
    clean = latents(dtype=torch.float32)
    told = known(clean, 0.5)
    before = energy.energy(clean, told)
    for _ in range(5):
        clean = clean.zip(energy.slope(clean, told), torch.sub)
    assert (energy.energy(clean, told) < 0.8 * before).all()


def test_the_energy_is_minus_the_log_probability():
    energy = ClassifierEnergy(0.1, classifier=by_means("clip"), target=1, sees="clip")
    clean = latents()
    told = known(clean)
    shown = (told.frames(clean) + 1) / 2
    expected = -by_means("clip")(shown).softmax(1)[:, 1].log()
    torch.testing.assert_close(energy.energy(clean, told), expected)


def test_a_classifier_of_transformers_is_taken(tmp_path):
    config = ViTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=16,
        patch_size=8,
        num_labels=3,
        initializer_range=0.5,
    )
    ViTForImageClassification(config).save_pretrained(tmp_path)
    ViTImageProcessor(size={"height": 16, "width": 16}).save_pretrained(tmp_path)
    energy = ClassifierEnergy(0.1, classifier=ImageClassifier(str(tmp_path)), target=2)
    clean = latents(dtype=torch.float32)
    slope = energy.slope(clean, known(clean))
    assert slope.video.any() and not slope.audio.any()


def test_what_cannot_be_is_refused():
    with pytest.raises(TypeError, match="classifier is a str"):
        ClassifierEnergy(0.1, classifier="resnet", target=1)
    with pytest.raises(ValueError, match="sees is 'sound'; possible are 'frames'"):
        ClassifierEnergy(0.1, classifier=by_means("clip"), target=1, sees="sound")
    with pytest.raises(ValueError, match="target is -1"):
        ClassifierEnergy(0.1, classifier=by_means("clip"), target=-1)
    clean = latents()
    with pytest.raises(ValueError, match=r"logits of shape \(2, 3\) for 2 inputs and target 3"):
        ClassifierEnergy(0.1, classifier=by_means("clip"), target=3, sees="clip").energy(
            clean, known(clean)
        )
