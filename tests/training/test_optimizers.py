from copy import deepcopy

import pytest
import torch
from torch import nn

from mmdiff.training.optimizers import MuonAdamW, orthogonalise


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))


def steps(module: nn.Module, optimizers: list[torch.optim.Optimizer], count: int = 3) -> None:
    for index in range(count):
        x = torch.randn(4, 8, generator=torch.Generator().manual_seed(index))
        for optimizer in optimizers:
            optimizer.zero_grad()
        module(x).square().sum().backward()
        for optimizer in optimizers:
            optimizer.step()


def test_steps_are_those_of_torch_muon_and_adamw() -> None:
    ours, oracle = network(), network()
    steps(ours, [MuonAdamW(ours.named_parameters(), lr=1e-2, adamw_lr=1e-2, weight_decay=0.1)])
    matrices = [p for p in oracle.parameters() if p.ndim == 2]
    others = [p for p in oracle.parameters() if p.ndim != 2]
    muon = torch.optim.Muon(matrices, lr=1e-2, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    adamw = torch.optim.AdamW(others, lr=1e-2, weight_decay=0.1, betas=(0.9, 0.95))
    steps(oracle, [muon, adamw])
    for left, right, start in zip(
        ours.parameters(), oracle.parameters(), network().parameters(), strict=True
    ):
        moved, wanted = (left - start).flatten(), (right - start).flatten()
        assert torch.cosine_similarity(moved, wanted, dim=0) > 0.98  # the oracle works in bf16
        assert abs(moved.norm() / wanted.norm() - 1) < 0.02


def test_singular_values_come_near_one() -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalise(torch.randn(3, 12, 20), steps=5))
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_edges_go_to_adamw() -> None:
    module = nn.ModuleDict({"embed": nn.Linear(4, 4), "inner": nn.Linear(4, 4)})
    optimizer = MuonAdamW(module.named_parameters())
    assert [p.shape for p in optimizer.param_groups[0]["params"]] == [(4, 4)]
    assert optimizer.param_groups[0]["params"][0] is module["inner"].weight


def test_saved_and_loaded_it_goes_on_exactly() -> None:
    straight, resumed = network(), network()
    optimizer = MuonAdamW(straight.named_parameters())
    steps(straight, [optimizer])
    first = MuonAdamW(resumed.named_parameters())
    steps(resumed, [first])
    second = MuonAdamW(resumed.named_parameters(), lr=1.0)
    second.load_state_dict(deepcopy(first.state_dict()))
    steps(straight, [optimizer])
    steps(resumed, [second])
    for left, right in zip(straight.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(left, right)


def test_a_network_without_matrices_is_refused() -> None:
    with pytest.raises(ValueError, match="AdamW"):
        MuonAdamW([("bias", nn.Parameter(torch.zeros(3)))])


@pytest.mark.parametrize(
    "name, value",
    [("lr", 0.0), ("adamw_lr", -1e-3), ("weight_decay", -0.1), ("momentum", 1.0), ("ns_steps", 0)],
)
def test_i1_a_number_that_would_train_uphill_is_refused(name, value) -> None:
    named = [("blocks.weight", torch.nn.Parameter(torch.eye(2)))]
    with pytest.raises(ValueError, match=f"{name} is "):
        MuonAdamW(named, **{name: value})
