"""AdamW with clipping, a learning rate by time, and averaged weights.

Knows parameters and gradients only; what is optimised is decided in `learner`.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from tritone_acoustic.training.recipe import Recipe


def learning_rate(recipe: Recipe, step: int, progress: float) -> float:
    """Linear warm-up by steps, then a cosine over the time budget.

    Args:
        recipe: peak, end and warm-up.
        step: steps done.
        progress: share of the time budget that is spent, 0..1.

    Returns:
        The rate of the next step.
    """
    cosine = 0.5 + 0.5 * math.cos(math.pi * min(max(progress, 0.0), 1.0))
    decayed = recipe.peak_rate * (recipe.final_rate + (1.0 - recipe.final_rate) * cosine)
    return decayed * min(1.0, (step + 1) / recipe.warmup_steps)


class Optimiser:
    """Updates a model and keeps its running average.

    A step whose gradient is not finite changes nothing and is counted.

    Args:
        model: what to train; its parameters stay float32.
        recipe: rates and decays.
    """

    def __init__(self, model: nn.Module, recipe: Recipe) -> None:
        self._recipe = recipe
        self._parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        matrices = [parameter for parameter in self._parameters if parameter.ndim > 1]
        vectors = [parameter for parameter in self._parameters if parameter.ndim <= 1]
        groups = [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
        self.adam = torch.optim.AdamW(groups, lr=recipe.peak_rate, betas=recipe.betas, eps=1e-8, fused=True)
        # Averages cover parameters and the running statistics of the batch norms.
        averaged = {name: value for name, value in model.state_dict().items() if value.dtype == torch.float32}
        self.average = {name: value.detach().clone() for name, value in averaged.items()}
        self._pairs = (list(self.average.values()), list(averaged.values()))
        device = self._parameters[0].device
        self.skipped = torch.zeros((), device=device)
        self.step_count, self.rate = 0, 0.0

    def step(self, progress: float) -> Tensor:
        """Applies the gradients and clears them.

        Args:
            progress: share of the time budget that is spent.

        Returns:
            The gradient norm before clipping, a scalar on the device.
        """
        gradients = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        broken = (~torch.isfinite(norm)).float()
        # The fused kernel divides gradients by `grad_scale` and does nothing if `found_inf` is set: the interface
        # that gradient scalers use. It spares a pass over the gradients and a wait for the device.
        self.adam.grad_scale = (norm / self._recipe.clip_norm).clamp(min=1.0)
        self.adam.found_inf = broken
        self.rate = learning_rate(self._recipe, self.step_count, progress)
        for group in self.adam.param_groups:
            group["lr"] = self.rate
        self.adam.step()
        self.clear()
        self.skipped += broken
        self.step_count += 1
        decay = min(self._recipe.ema, (1 + self.step_count) / (10 + self.step_count))
        torch._foreach_lerp_(*self._pairs, 1.0 - decay)
        return norm

    def soften(self) -> None:
        """Halves the learning rate from here on."""
        self._recipe = replace(self._recipe, peak_rate=self._recipe.peak_rate / 2)

    def clear(self) -> None:
        """Sets all gradients to zero, in place: captured graphs add to them."""
        self.adam.zero_grad(set_to_none=False)

    def state_dict(self) -> dict[str, Any]:
        """Returns everything needed to go on."""
        return {"adam": self.adam.state_dict(), "average": self.average, "step": self.step_count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from `state_dict`'s result.

        Args:
            state: as returned by `state_dict`.
        """
        self.adam.load_state_dict(state["adam"])
        for name, value in state["average"].items():
            self.average[name].copy_(value)
        self.step_count = state["step"]
