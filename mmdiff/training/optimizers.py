"""MuonAdamW: Muon for the matrices inside a network, AdamW for everything else, as one
optimizer."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from mmdiff.values.checks import check_fractions, check_sizes, check_weights

EDGES = ("embed", "patch", "stem", "head", "shared", "table", "proj_out", "bias")
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


class MuonAdamW(Optimizer):
    """Muon (Jordan et al. 2024; scaled to AdamW's step size as in Liu et al., arXiv 2502.16982) on
    hidden matrices.

    A parameter goes to Muon if it has two axes and no part of its name contains one of `edges`:
    embeddings, first and last layers, tables. The steps are those of
    `torch.optim.Muon(adjust_lr_fn="match_rms_adamw")`, which orthogonalises matrix by matrix and
    always in bf16; here matrices of one shape go together, and by default in their own precision:
    on a CPU without bf16 units products in bf16 run at half the rate of those in fp32, on one with
    them at six times that rate.

    Args:
        named_parameters: of the module to train.
        lr: learning rate of Muon.
        orthogonalise_in_bf16: the products of Muon in bf16, as torch's own does.
        adamw_lr: learning rate of AdamW.

    Raises ValueError for a rate that would train uphill, or any other number out of range.
    """

    def __init__(
        self,
        named_parameters: Iterable[tuple[str, nn.Parameter]],
        lr: float = 2e-3,
        *,
        adamw_lr: float = 1e-3,
        weight_decay: float = 0.01,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.95),
        ns_steps: int = 5,
        orthogonalise_in_bf16: bool = False,
        edges: tuple[str, ...] = EDGES,
    ) -> None:
        check_weights(above=True, lr=lr, adamw_lr=adamw_lr)
        check_weights(weight_decay=weight_decay)
        check_fractions(with_one=False, momentum=momentum, betas=betas)
        check_sizes(ns_steps=ns_steps)
        matrices: list[nn.Parameter] = []
        others: list[nn.Parameter] = []
        for name, parameter in named_parameters:
            if parameter.requires_grad:
                is_edge = any(edge in name for edge in edges)
                (others if is_edge or parameter.ndim != 2 else matrices).append(parameter)
        if not matrices:
            raise ValueError("no hidden matrix to train with Muon; use torch.optim.AdamW")
        self._adamw = AdamW(
            others or [nn.Parameter(torch.zeros(0))],  # torch refuses an optimizer of nothing
            lr=adamw_lr,
            betas=betas,
            weight_decay=weight_decay,
            fused=True,
        )
        muon = {
            "params": matrices,
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "ns_steps": ns_steps,
            "orthogonalise_in_bf16": orthogonalise_in_bf16,
        }
        super().__init__([muon, *self._adamw.param_groups], {})
        self._share()

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        by_shape: dict[torch.Size, list[nn.Parameter]] = defaultdict(list)
        for parameter in self.param_groups[0]["params"]:
            if parameter.grad is not None:
                by_shape[parameter.shape].append(parameter)
        for parameters in by_shape.values():
            self._muon_step(parameters)
        self._adamw.step()
        return loss

    def _muon_step(self, parameters: list[nn.Parameter]) -> None:
        """One step of matrices of one shape."""
        group = self.param_groups[0]
        gradients = [_gradient(parameter) for parameter in parameters]
        for parameter in parameters:
            if "momentum_buffer" not in self.state[parameter]:
                self.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter.data)
        buffers = [self.state[parameter]["momentum_buffer"] for parameter in parameters]
        torch._foreach_lerp_(buffers, gradients, 1 - group["momentum"])
        nesterov = torch._foreach_lerp(gradients, buffers, group["momentum"])
        stacked = torch.stack(nesterov)
        dtype = torch.bfloat16 if group["orthogonalise_in_bf16"] else stacked.dtype
        updates = orthogonalise(stacked.to(dtype), steps=group["ns_steps"]).to(stacked.dtype)
        # an orthogonal update has a root mean square of max(shape)^-0.5; AdamW's is about 0.2
        rate = group["lr"] * 0.2 * max(parameters[0].shape) ** 0.5
        weights: list[Tensor] = [parameter.data for parameter in parameters]
        torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(weights, list(updates), alpha=-rate)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self._share()

    def _share(self) -> None:
        """AdamW works on our groups and our state, so that schedules and checkpoints see one
        optimizer."""
        self._adamw.param_groups = self.param_groups[1:]
        self._adamw.state = self.state


def orthogonalise(matrices: Tensor, *, steps: int) -> Tensor:
    """The nearest orthogonal matrices, about: singular values go to 0.7..1.2 by Newton-Schulz
    iteration.

    matrices  k rows columns
    """
    a, b, c = NEWTON_SCHULZ
    is_tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if is_tall else matrices  # so that the Gram matrix is the smaller one
    # the Frobenius norm bounds the largest singular value: from 1 down, the iteration converges
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp_min(1e-7)
    for _ in range(steps):  # p(s) = a s + b s^3 + c s^5 on each singular value s
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if is_tall else x


def _gradient(parameter: nn.Parameter) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad
