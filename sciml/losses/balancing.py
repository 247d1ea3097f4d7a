"""Weightings that equalise a statistic of the terms' gradients by a moving average."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sciml.errors import InputError, nearest
from sciml.losses.terms import Terms
from sciml.losses.weighting import Weighting


@dataclass(eq=False, kw_only=True)
class Balancing(Weighting):
    """Moves every weight, from 1 at the start, towards a target: ``w <- smoothing w + (1 - smoothing) target``.

    Attributes:
        smoothing: share of the old weight that is kept, in [0, 1).
        period: steps between two updates.
        cap: no target is larger. A term that is all but satisfied has a gradient that is all but zero, which asks for
            an unbounded weight, which satisfies the term further: without a cap that runs away.
        epsilon: a gradient this small against the one it is to match counts as zero: the term keeps its weight.
    """

    smoothing: float = 0.9
    period: int = 1000
    cap: float = 1e4
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.smoothing < 1:
            raise InputError(f"smoothing, the share of the old weight kept, must be in [0, 1), got {self.smoothing}")
        if not self.cap > 0:
            raise InputError(f"cap must be positive, got {self.cap}")

    def update(self, terms: Terms) -> dict[str, Tensor]:
        targets = self.targets(terms)
        return {name: self._moved(self.current(name, r), targets.get(name)) for name, r in terms.residuals.items()}

    @abstractmethod
    def targets(self, terms: Terms) -> dict[str, Tensor]:
        """Where the weights should go; a target that is not finite, or missing, leaves the weight as it is."""

    def current(self, name: str, like: Tensor) -> Tensor:
        """The weight of the term so far."""
        return self.weights[name].to(like) if name in self.weights else like.new_ones(())

    def ratio(self, wanted: Tensor, measured: Tensor) -> Tensor:
        """``wanted / measured``, infinite where either is numerically zero."""
        usable = (measured > self.epsilon * wanted) & (wanted > 0)
        return torch.where(usable, wanted / measured, torch.inf)

    def _moved(self, weight: Tensor, target: Tensor | None) -> Tensor:
        if target is None:
            return weight
        moved = self.smoothing * weight + (1 - self.smoothing) * target.clamp(max=self.cap)
        return torch.where(target.isfinite(), moved, weight)


@dataclass(eq=False, kw_only=True)
class GradientAnnealing(Balancing):
    """Learning-rate annealing: the mean gradient of every condition follows the largest of the equations.

    ``target_i = max|grad L_equations| / mean|grad L_i|`` over all trainable weights; the equations weigh 1.

    Source: Wang, Teng, Perdikaris, arXiv 2001.04536, eq. 40-41. The paper's alpha is ``1 - smoothing``.

    Attributes:
        denominator: "weighted" divides by the gradient of ``w_i L_i``, as the code that made the paper's tables, with
            the fixed point ``w = sqrt(max / mean)``; "unweighted" by that of ``L_i``, as the paper's text, with the
            fixed point ``w = max / mean``, which runs into the cap if a trivial solution satisfies the condition.
        matrices_only: take the statistics over weight matrices, not biases, as that code does.
        by_layer: take the target of every weight matrix by itself and the largest of them, as its code for the cavity.

    Raises:
        InputError: the denominator is unknown, ``smoothing`` is outside [0, 1), or ``period`` or ``cap`` not positive.
    """

    period: int = 10
    denominator: str = "weighted"
    matrices_only: bool = False
    by_layer: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.denominator not in ("unweighted", "weighted"):
            hint = nearest(self.denominator, ("unweighted", "weighted"))
            raise InputError(f"there is no denominator {self.denominator!r}; {hint}")

    def targets(self, terms: Terms) -> dict[str, Tensor]:
        if self.matrices_only or self.by_layer:
            terms = replace(terms, parameters=[p for p in terms.parameters if p.ndim >= 2])
        gradient = terms.gradient(*terms.equations)
        if not len(gradient):
            return {}
        sizes = [p.numel() for p in terms.parameters if p.requires_grad] if self.by_layer else [len(gradient)]
        parts = gradient.split(sizes)

        def target(name: str) -> Tensor:
            own = terms.gradient(name)
            if self.denominator == "weighted":
                own = self.current(name, own) * own
            ratios = [self.ratio(p.abs().max(), o.abs().mean()) for p, o in zip(parts, own.split(sizes), strict=True)]
            known = torch.stack([torch.where(ratio.isfinite(), ratio, 0.0) for ratio in ratios]).max()
            return torch.where(known > 0, known, torch.inf)

        return {name: target(name) for name in terms.conditions}


@dataclass(eq=False, kw_only=True)
class GradientNorm(Balancing):
    """All terms, equations included, get gradients of one norm: ``target_i = mean_j ||grad L_j|| / ||grad L_i||``.

    Source: Wang, Sankaran, Wang, Perdikaris, arXiv 2308.08468, in the normalisation of its code, where terms that
    agree weigh 1 (the paper has the sum over j).
    """

    def targets(self, terms: Terms) -> dict[str, Tensor]:
        norms = {name: terms.gradient(name).norm() for name in terms.residuals}
        mean = torch.stack(list(norms.values())).mean()
        return {name: self.ratio(mean, norm) for name, norm in norms.items()}


@dataclass(eq=False, kw_only=True)
class NeuralTangentKernel(Balancing):
    """All terms converge at one rate: ``target_i = mean_j k_j / k_i``, with k_i the mean diagonal of its kernel.

    ``k_i = tr(J_i J_i^T) / N_i`` with the Jacobian J_i (N_i, P) of the term's residuals.

    Source: Wang, Yu, Perdikaris, arXiv 2007.14527, with means for sums, so that terms that agree weigh 1 whatever the
    numbers of their points.

    Attributes:
        probes: number of random signs (Hutchinson) by which a trace is estimated without bias, one backward pass
            each; None computes the trace exactly, with one backward pass for every point.
    """

    probes: int | None = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.probes is not None and self.probes < 1:
            raise InputError(f"probes must be at least 1, or None for the exact trace, got {self.probes}")

    def targets(self, terms: Terms) -> dict[str, Tensor]:
        means = {name: self.trace(terms, name) / len(residual) for name, residual in terms.residuals.items()}
        mean = torch.stack(list(means.values())).mean()
        return {name: self.ratio(mean, value) for name, value in means.items()}

    def trace(self, terms: Terms, name: str) -> Tensor:
        """Trace of the term's block of the kernel: the sum of ``||d r_j / d theta||^2`` over its points j."""
        rows = self._rows(terms.residuals[name].detach(), terms.generator)
        return torch.stack([terms.pullback({name: row}).square().sum() for row in rows]).sum()

    def _rows(self, residual: Tensor, generator: torch.Generator) -> Tensor:
        if self.probes is None:
            return torch.eye(len(residual), dtype=residual.dtype, device=residual.device)
        shape = (self.probes, len(residual))
        signs = 2 * torch.randint(0, 2, shape, generator=generator, device=generator.device) - 1
        return signs.to(residual) / self.probes**0.5
