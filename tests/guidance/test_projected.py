from dataclasses import replace

import pytest
import torch
from diffusers.guiders import AdaptiveProjectedGuidance
from diffusers.guiders.adaptive_projected_guidance import MomentumBuffer

from mmdiff.guidance.classifier_free import ClassifierFree
from mmdiff.guidance.moment import Moment
from mmdiff.guidance.projected import Projected

CALLS = torch.randn(3, 2, 2, 4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
ONES = torch.ones(2, 1, 1, 1, 1)
NOW = Moment(call=0, on_line=CALLS[0, 0], time=0.5 * ONES)


@pytest.mark.parametrize("momentum", [0.0, -0.5, 0.3])
@pytest.mark.parametrize("norm_threshold", [0.0, 5.0, 1000.0])
@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_it_is_the_guider_of_diffusers(eta: float, norm_threshold: float, momentum: float) -> None:
    # the formula of the paper is what diffusers calls the original one; its scale is ours - 1
    theirs = AdaptiveProjectedGuidance(
        guidance_scale=3.0,
        adaptive_projected_guidance_rescale=norm_threshold,
        eta=eta,
        use_original_formulation=True,
    )
    if momentum:
        theirs.momentum_buffer = MomentumBuffer(momentum)
    ours = Projected(4.0, eta=eta, norm_threshold=norm_threshold, momentum=momentum)
    moment = NOW
    for strong, weak in CALLS:
        expected = theirs.forward(strong, weak).pred
        term = ours.term(strong, weak, weight=ours.weight("video", ONES), moment=moment)
        assert torch.allclose(strong + term.value, expected, rtol=0, atol=1e-5)
        moment = replace(moment, memory=term.memory)


def test_without_its_own_settings_it_is_classifier_free() -> None:
    strong, weak = CALLS[0]
    plain = Projected(eta=1.0, norm_threshold=0.0, momentum=0.0)
    projected = plain.term(strong, weak, weight=3 * ONES, moment=NOW).value
    free = ClassifierFree().term(strong, weak, weight=3 * ONES, moment=NOW).value
    assert torch.allclose(projected, free, atol=1e-5)


def test_with_eta_0_nothing_is_added_along_the_estimate() -> None:
    strong, weak = CALLS[0]
    value = Projected(eta=0.0).term(strong, weak, weight=3 * ONES, moment=NOW).value
    assert torch.allclose((value * strong).sum((1, 2, 3, 4)), torch.zeros(2), atol=1e-3)


def test_equal_estimates_add_nothing() -> None:
    strong = CALLS[0, 0]
    assert not Projected().term(strong, strong, weight=3 * ONES, moment=NOW).value.any()


def test_wrong_settings_teach() -> None:
    with pytest.raises(ValueError, match=r"norm_threshold is -1"):
        Projected(norm_threshold=-1.0)
    with pytest.raises(ValueError, match=r"momentum is 1"):
        Projected(momentum=1.0)
