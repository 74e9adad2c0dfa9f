"""MuonAdamW: Muon for the matrices inside a network, AdamW for everything else, as one optimizer."""

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import nn
from torch.optim import AdamW, Muon, Optimizer

EDGES = ("embed", "patch", "stem", "head", "shared", "unpatch", "table", "bias")


class MuonAdamW(Optimizer):
    """Muon (Jordan et al. 2024; scaled to AdamW's step size as in Liu et al., arXiv 2502.16982) on hidden matrices.

    A parameter goes to Muon if it has two axes and no part of its name contains one of `edges`: embeddings, first and last
    layers, tables. Both halves share `param_groups`, so learning rate schedules drive them together.

    Args:
        named_parameters: of the module to train.
        lr: learning rate of Muon.
        adamw_lr: learning rate of AdamW.
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
        edges: tuple[str, ...] = EDGES,
    ) -> None:
        matrices, others = [], []
        for name, parameter in named_parameters:
            if parameter.requires_grad:
                is_edge = any(edge in part for part in name.split(".") for edge in edges)
                (others if is_edge or parameter.ndim != 2 else matrices).append(parameter)
        if not matrices:
            raise ValueError("no hidden matrix to train with Muon; use torch.optim.AdamW")
        self._muon = Muon(
            matrices,
            lr=lr,
            momentum=momentum,
            weight_decay=weight_decay,
            ns_steps=ns_steps,
            adjust_lr_fn="match_rms_adamw",
        )
        self._adamw = AdamW(
            others or [nn.Parameter(torch.zeros(0))],
            lr=adamw_lr,
            betas=tuple(betas),
            weight_decay=weight_decay,
            fused=True,
        )
        super().__init__([{"params": matrices, "lr": lr}, {"params": others, "lr": adamw_lr}], {})
        self._share()

    def _share(self) -> None:
        """One list of groups and one state for both halves and for us."""
        self.param_groups = [*self._muon.param_groups, *self._adamw.param_groups]
        self.state.update(self._muon.state)
        self.state.update(self._adamw.state)
        self._muon.state = self._adamw.state = self.state

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._muon.step()
        self._adamw.step()
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self._muon.param_groups = self.param_groups[:1]
        self._adamw.param_groups = self.param_groups[1:]
        self._muon.state = self._adamw.state = self.state


