"""One optimizer outside, two inside."""

import copy

import pytest
import torch
from tests.training.tiny import TinyNet
from torch.optim import AdamW, Muon

from mmdiff.training.optimizers import MuonAdamW
from mmdiff.training.schedules import OneCycle, WarmupDecay


def _step(net: TinyNet, *optimizers: torch.optim.Optimizer) -> None:
    x = torch.ones(3, 6)
    net.zero_grad()
    net(x).square().sum().backward()
    for optimizer in optimizers:
        optimizer.step()


def test_equals_muon_beside_adamw() -> None:
    ours = TinyNet()
    theirs = copy.deepcopy(ours)
    optimizer = MuonAdamW(ours.named_parameters(), lr=1e-2, adamw_lr=3e-3, weight_decay=0.1)
    named = dict(theirs.named_parameters())
    matrices = [p for name, p in named.items() if "blocks" in name and p.ndim == 2]
    others = [p for p in named.values() if all(p is not m for m in matrices)]
    muon = Muon(matrices, lr=1e-2, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    adamw = AdamW(others, lr=3e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    for _ in range(4):
        _step(ours, optimizer)
        _step(theirs, muon, adamw)
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(one, other)


def test_state_survives_saving() -> None:
    one = TinyNet()
    optimizer = MuonAdamW(one.named_parameters())
    _step(one, optimizer)
    other = copy.deepcopy(one)
    resumed = MuonAdamW(other.named_parameters())
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for _ in range(2):
        _step(one, optimizer)
        _step(other, resumed)
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)


def test_schedules_drive_both_halves() -> None:
    optimizer = MuonAdamW(TinyNet().named_parameters(), lr=1.0, adamw_lr=0.5)
    schedule = OneCycle(optimizer, 100, warmup_fraction=0.1, final=0.01)
    rates = []
    for _ in range(100):
        optimizer.step()
        schedule.step()
        rates.append([group["lr"] for group in optimizer.param_groups])
    assert rates[9] == [1.0, 0.5]
    assert rates[-1] == pytest.approx([0.01, 0.005])


def test_warmup_decay_has_its_three_parts() -> None:
    optimizer = AdamW([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = WarmupDecay(optimizer, 100, warmup_steps=10, decay_fraction=0.3, final=0.1)
    rates = []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[0] == pytest.approx(1 / 11) and rates[20] == rates[69] == 1.0
    assert rates[85] == pytest.approx(0.55) and optimizer.param_groups[0]["lr"] == pytest.approx(0.1)


def test_nothing_for_muon_is_an_error() -> None:
    with pytest.raises(ValueError, match="AdamW"):
        MuonAdamW(torch.nn.LayerNorm(3).named_parameters())
