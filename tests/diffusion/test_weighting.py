from typing import get_args

import pytest
import torch

from mmdiff.diffusion.noise_schedule import Cosine, Flow, Linear, NoiseSchedule
from mmdiff.diffusion.parameterization import Parameterization, error_gain
from mmdiff.diffusion.weighting import MinSNR, NoWeighting

TIMES = torch.linspace(0, 1, 51, dtype=torch.float64)


@pytest.mark.parametrize("schedule", [Flow(), Cosine(), Linear()], ids=repr)
@pytest.mark.parametrize("kind", get_args(Parameterization))
def test_min_snr_is_one_loss_on_the_clean_signal(
    schedule: NoiseSchedule, kind: Parameterization
) -> None:
    where = {"schedule": schedule, "parameterization": kind}
    weight = MinSNR(gamma=5.0).weight(TIMES, **where)
    assert weight.isfinite().all()
    assert (weight >= 0).all()
    inner = slice(1, -1)
    on_clean = weight * error_gain(TIMES, **where)
    expected = schedule.log_snr(TIMES).exp().clamp(max=5.0)
    assert torch.allclose(on_clean[inner], expected[inner], rtol=1e-5)


def test_min_snr_formula_of_the_paper() -> None:
    snr = Cosine().log_snr(TIMES[1:-1]).exp()
    where = {"schedule": Cosine()}
    noise = MinSNR().weight(TIMES[1:-1], **where, parameterization="noise")
    v = MinSNR().weight(TIMES[1:-1], **where, parameterization="v")
    assert torch.allclose(noise, snr.clamp(max=5) / snr)
    assert torch.allclose(v, snr.clamp(max=5) / (snr + 1))


def test_no_weighting_is_one() -> None:
    weight = NoWeighting().weight(TIMES, schedule=Flow(), parameterization="velocity")
    assert torch.equal(weight, torch.ones_like(TIMES))
