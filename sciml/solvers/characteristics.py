"""A family of characteristics: where each is, and what it carries, as networks of its label and time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sciml.geometry import Domain
from sciml.jets import Jet, JetTensor, MultiIndex, MultiIndexSet, taylor
from sciml.nn import MLP, coordinate_embedding
from sciml.solvers.quasilinear import eulerian

Start = Callable[[Tensor, MultiIndexSet], list[Jet]]
"""Jets in the labels, at ``labels`` (N, d), of what characteristics carry when they start."""

_ITERATIONS = 100  # of the inversion on a line; bisection alone reaches rounding in about 60
_STAGES = 8  # in time, of the inversion in two and more dimensions
_LAST_STAGE = 20  # Newton steps of the last one, 2 of the others


class Characteristics(nn.Module):
    """X(xi, t) and W(xi, t), exact where the characteristics start.

    ``X = X0 + elapsed * (drift + spread * network)`` and ``W = W0 + elapsed * rate * network``. Labels are the
    positions X0 at the first time. Those of a family that enters through one end of an interval are the times of entry;
    they take the place of the position among the coordinates.

    The networks' last layers are zero at first: characteristics then are parallel, and do not cross.

    Args:
        names: of the coordinates.
        time: which of them is time.
        low, high: bounds (d,) of the labels and of time.
        periods: of the periodic coordinates, by name.
        start: what the characteristics carry when they start.
        unknowns: how many there are.
        entrance: position of the end that they enter through; None for the initial family.
        orientation: sign of X_xi on a line.
        shared: one network for both X and W, in place of two.
        width, depth: of the networks.
    """

    drift: Tensor
    spread: Tensor
    rate: Tensor

    def __init__(
        self,
        names: Sequence[str],
        time: int,
        low: Tensor,
        high: Tensor,
        periods: Mapping[str, float],
        start: Start,
        unknowns: int,
        *,
        entrance: float | None = None,
        orientation: float = 1.0,
        shared: bool = False,
        width: int = 20,
        depth: int = 2,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.names, self.periods = tuple(names), dict(periods)
        self.start, self.entrance = start, entrance
        self.time = time
        self.space = [axis for axis in range(len(names)) if axis != self.time]
        self.low, self.high, self.orientation = low, high, orientation
        self.embedding = coordinate_embedding(self.names, low, high, self.periods)
        outputs = [len(self.space) + unknowns] if shared else [len(self.space), unknowns]
        features = len(names) + len(periods)
        self.branches = nn.ModuleList(MLP(features, out, width, depth, generator=generator) for out in outputs)
        for branch in self.branches:
            nn.init.zeros_(branch.layers[-1].weight)  # type: ignore[union-attr, index]
        self.register_buffer("drift", torch.zeros(len(self.space)))
        self.register_buffer("spread", torch.ones(len(self.space)))
        self.register_buffer("rate", torch.ones(unknowns))
        self._last: tuple[Tensor, MultiIndexSet, JetTensor] | None = None

    def forward(self, points: Any, start: Any) -> Any:
        """Positions and states (N, space + unknowns) at labels and times ``points`` (N, d); jets or tensors all."""
        time, label = points[..., self.time : self.time + 1], points[..., self.space]
        if self.entrance is None:
            elapsed, origin = time - float(self.low[self.time]), label
        else:
            elapsed, origin = time - label, 0 * label + self.entrance
        features = self.embedding(points)
        out = torch.cat([branch(features) for branch in self.branches], dim=-1)
        position = origin + elapsed * (self.drift + self.spread * out[..., : len(self.space)])
        return torch.cat([position, start + elapsed * (self.rate * out[..., len(self.space) :])], dim=-1)

    def sample(self, domain: Domain, n: int, generator: torch.Generator, method: str) -> Tensor:
        """Labels and times (n, d), uniformly from ``domain`` or, of those that enter, from all times after entry."""
        low, high = self.low.to(generator.device), self.high.to(generator.device)
        if self.entrance is None:
            return domain.sample(n, generator, method=method)
        low, high = self.low.to(generator.device), self.high.to(generator.device)
        unit = torch.rand(n, 2, generator=generator, device=generator.device, dtype=low.dtype)
        return low + (high - low) * unit.sort(dim=1, descending=self.time == 0).values

    def jets(self, points: Tensor, indices: MultiIndexSet, expand: bool = False) -> tuple[list[Jet], list[Jet]]:
        """Jets in label and time of the positions and of the unknowns."""
        start = self._start(points, indices)
        jets = taylor(lambda inputs: self(inputs, start), points, self.names, indices, expand)
        return jets[: len(self.space)], jets[len(self.space) :]

    @torch.no_grad()
    def eulerian_jets(self, points: Tensor, indices: MultiIndexSet) -> list[Jet]:
        """Jets of the unknowns in physical coordinates at ``points`` (N, d), without a graph."""
        positions, states = self.jets(self.labels(points), indices)
        space = [self.names[axis] for axis in self.space]
        return [eulerian(positions, state, space, self.names[self.time]) for state in states]

    def motion(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Positions (N, space) and their Jacobian by label (N, space, space)."""
        d = len(self.names)
        first = MultiIndexSet([tuple(int(a == b) for b in range(d)) for a in self.space], d)
        nothing = points.new_zeros(len(self.rate))
        positions = taylor(lambda inputs: self(inputs, nothing), points, self.names, first)[: len(self.space)]
        slopes = [torch.stack([x.d(self.names[axis]).value for x in positions], -1) for axis in self.space]
        return torch.stack([x.value for x in positions], -1), torch.stack(slopes, -1)

    # The inverse ------------------------------------------------------------------------------------------------
    @torch.no_grad()
    def labels(self, points: Tensor) -> Tensor:
        """Labels and times (N, d) of the characteristics that are at ``points`` (N, d).

        On a line by Newton's method inside a bracket that bisection shrinks, so that it cannot fail while X is
        monotone; elsewhere by Newton's method along the way that the label goes as time runs from the start.
        """
        if not len(points):
            return points
        found = self._bracketed(points) if len(self.space) == 1 else self._continued(points)
        for axis, name in enumerate(self.names):
            if name in self.periods:
                found[:, axis] = self.low[axis] + torch.remainder(found[:, axis] - self.low[axis], self.periods[name])
        return found

    def _bracketed(self, points: Tensor) -> Tensor:
        (axis,) = self.space
        target, found = points[:, axis].clone(), points.clone()

        def excess(label: Tensor) -> tuple[Tensor, Tensor]:
            found[:, axis] = label
            position, jacobian = self.motion(found)
            return self.orientation * (position[:, 0] - target), self.orientation * jacobian[:, 0, 0]

        low, high = self._bracket(points)
        label = (low + high) / 2
        for _ in range(_ITERATIONS):
            value, slope = excess(label)
            low, high = torch.where(value < 0, label, low), torch.where(value < 0, high, label)
            newton = label - value / slope
            following = torch.where((newton >= low) & (newton <= high), newton, (low + high) / 2)
            change, label = (following - label).abs().max(), following
            if change <= self._tolerance(axis, label):
                break
        found[:, axis] = label
        return found

    def _bracket(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Labels (N,) between which that of a point on a line lies, if X is monotone."""
        (axis,) = self.space
        time = points[:, self.time]
        low = torch.full_like(time, float(self.low[axis]))
        if self.entrance is not None:
            return low, time.clone()
        if not self.periods:
            return low, torch.full_like(time, float(self.high[axis]))
        # Displacements are periodic; those of two labels differ by less than the period, or their order would change.
        at_low = torch.where(torch.arange(points.shape[1], device=time.device) == axis, low[:, None], points)
        label, period = points[:, axis] - (self.motion(at_low)[0][:, 0] - low), self.high[axis] - self.low[axis]
        return label - float(period), label + float(period)

    def _continued(self, points: Tensor) -> Tensor:
        target, time, found = points[:, self.space], points[:, self.time], points.clone()
        begin = float(self.low[self.time])
        for stage in range(1, _STAGES + 1):
            found[:, self.time] = begin + (time - begin) * (stage / _STAGES)
            for _ in range(_LAST_STAGE if stage == _STAGES else 2):
                position, jacobian = self.motion(found)
                step = torch.linalg.solve(jacobian, target - position)
                found[:, self.space] += step
                if step.abs().max() <= self._tolerance(self.space[0], step):
                    break
        return found

    def _tolerance(self, axis: int, like: Tensor) -> float:
        """A Newton step that small doubles the digits it has, and so is the last one needed."""
        return torch.finfo(like.dtype).eps ** 0.6 * float(self.high[axis] - self.low[axis])

    # ------------------------------------------------------------------------------------------------------------
    def _start(self, points: Tensor, indices: MultiIndexSet) -> JetTensor:
        """What characteristics carry at first, constant in time; kept for the next call at the same points."""
        if self._last is None or self._last[0] is not points or self._last[1] is not indices:
            with torch.enable_grad():
                jets = self.start(points, indices)

            def column(jet: Jet, index: MultiIndex) -> Tensor:
                return torch.zeros_like(jet.value) if index[self.time] else jet.partial(index)

            def block(order: int) -> Tensor:
                members = [index for index in indices if sum(index) == order]
                return torch.stack([torch.stack([column(jet, index) for jet in jets], -1) for index in members]).detach()

            self._last = points, indices, JetTensor([block(order) for order in range(indices.order + 1)], indices)
        return self._last[2]
