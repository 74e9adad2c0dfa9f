import pytest
import torch
from einops import rearrange

from mmdiff.bounce.background_classifier import BackgroundClassifier
from mmdiff.bounce.bounce import BACKGROUNDS
from mmdiff.bounce.dataset import random_prompts
from mmdiff.bounce.draw import draw_frames
from mmdiff.values.shapes import ClipShape


def test_it_names_the_background_of_true_images() -> None:
    events = random_prompts(20, 3)
    frames = torch.stack([draw_frames(event, ClipShape(num_frames=1))[0] for event in events])
    images = rearrange(frames, "b h w c -> b c h w").float() / 255
    read = BackgroundClassifier()(images).argmax(-1).tolist()
    assert [list(BACKGROUNDS)[index] for index in read] == [event.background for event in events]


def test_its_slope_leads_to_the_target() -> None:
    classifier, target = BackgroundClassifier(), 1
    image = torch.full((1, 3, 16, 16), 0.1)
    for _ in range(60):
        image.requires_grad_()
        loss = torch.nn.functional.cross_entropy(classifier(image), torch.tensor([target]))
        (slope,) = torch.autograd.grad(loss, image)
        image = (image - 0.02 * slope / slope.abs().max().clamp(min=1e-9)).detach()
    assert int(classifier(image).argmax()) == target


def test_softness_must_be_positive() -> None:
    with pytest.raises(ValueError, match="softness is 0"):
        BackgroundClassifier(softness=0)
