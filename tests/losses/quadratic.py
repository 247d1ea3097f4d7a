"""Terms with two weights (a, b) whose gradients are known by hand.

pde: residuals (3 a, b), loss (9 a^2 + b^2) / 2, gradient (9 a, b).
boundary: residuals (a + b, a - b) / 10, loss (a^2 + b^2) / 100, gradient (a, b) / 50.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sciml.losses import Terms


def quadratic_terms(theta: Tensor, step: int = 0, parameters: list[Tensor] | None = None) -> Terms:
    a, b = theta
    return Terms(
        residuals={"pde": torch.stack([3 * a, b]), "boundary": torch.stack([a + b, a - b]) / 10},
        points={name: torch.zeros(2, 1, dtype=theta.dtype) for name in ("pde", "boundary")},
        kinds={"pde": "equation", "boundary": "condition"},
        parameters=[theta] if parameters is None else parameters,
        generator=torch.Generator().manual_seed(step),
        step=step,
    )
