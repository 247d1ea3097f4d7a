"""A neural operator that learns from trajectories: every snapshot predicts every later one (Herde et al., 2405.19101)."""

from __future__ import annotations

import copy
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd import forward_ad

from sciml.data import Trajectories
from sciml.errors import InputError
from sciml.metrics import FLOOR, median, members, relative_l1
from sciml.nn.spectral import at_least_single, relative_radius, without_autocast
from sciml.problem import Points, Problem
from sciml.solvers.operator.grid_operator import GridOperator
from sciml.solvers.operator.pairs import Pairs, Snapshots
from sciml.solvers.operator.physics import GridEquations
from sciml.solvers.solver import Batch, Trainable

PAIRS = "pairs"
"""Key of the batch: ``rows`` are numbers of pairs, ``coordinates`` (N, 2) their lead times and what was drawn for them."""
CHECKED = 64  # pairs on which errors are looked at during training
EXPONENT = 1.5  # of the wave number in the weight of the errors' spectrum


class NeuralOperator(Trainable):
    """A :class:`GridOperator` with the data it learns from.

    Its terms are ``relative_l1_<group>``, the error over the mean modulus of the group in all training data, both of
    normalised fields, or ``relative_l2``, a number a sample (means of moduli, not of squares); ``high_frequency``, the
    spectrum of the error times |k|^1.5 (Li & Salim, arXiv 2509.24868); and the equations of ``problem``.

    Args:
        operator: what is trained; its normalisation is learned here.
        data: trajectories, of which the first ``training`` are learned from and the others held out.
        batch: pairs in a batch that ``sample`` draws.
        loss: "relative_l1" or "relative_l2".
        lead_steps: longest lead in steps of the data; None takes every pair.
        high_frequency: add that term.
        noise: standard deviation of noise that is added to the normalised fields at the start.
        pushforward: share of the pairs that start from the operator's own prediction of the first snapshot, without a
            gradient (Brandstetter et al., arXiv 2202.03376).
        average: decay of the moving average of the weights, which then is what is evaluated and kept; 0 for none.
        problem: adds the residuals of its equations.

    Raises:
        InputError: a value out of range, or data that the operator does not take.
    """

    name = "operator"

    def __init__(
        self,
        operator: GridOperator,
        data: Trajectories,
        *,
        training: int,
        batch: int = 16,
        loss: Literal["relative_l1", "relative_l2"] = "relative_l1",
        lead_steps: int | None = None,
        high_frequency: bool = False,
        noise: float = 0.0,
        pushforward: float = 0.0,
        average: float = 0.0,
        problem: Problem | None = None,
    ) -> None:
        super().__init__()
        operator.signature.check(data)
        for name, value, sound in (
            ("training", training, 1 <= training < len(data)),
            ("batch", batch, batch >= 1),
            ("noise", noise, noise >= 0),
            ("pushforward", pushforward, 0 <= pushforward <= 1),
            ("average", average, 0 <= average < 1),
        ):
            if not sound:
                raise InputError(f"{name}={value!r} is out of range for {len(data)} trajectories")
        self.operator, self.signature, self.problem = operator, operator.signature, problem
        magnitude = operator.learn_normalisation(data, training)
        self.average = copy.deepcopy(operator).requires_grad_(False) if average else None
        self.pairs = Pairs(training, len(data.times), lead_steps)
        self.snapshots = Snapshots(data, training)
        self.times = torch.as_tensor(data.times, dtype=torch.float64)
        self.batch, self.noise, self.pushforward, self.decay = batch, noise, pushforward, average
        self.high_frequency, self.groups = high_frequency, members(self.signature.groups)
        self.sizes = {name: len(self.groups) * float(magnitude[index].mean()) for name, index in self.groups.items()}
        self.equations = None if problem is None else GridEquations(problem, data, self.signature)
        self.held_out = _held_out(data, training)
        self.term_powers = {f"relative_l1_{name}": 1 for name in self.groups} if loss == "relative_l1" else {loss: 1}
        terms = [*self.term_powers, *(["high_frequency"] if high_frequency else [])]
        equations = [] if self.equations is None else list(self.equations.sizes)
        self.term_kinds = dict.fromkeys(terms, "condition") | dict.fromkeys(equations, "equation")
        self.term_points = dict.fromkeys(self.term_kinds, PAIRS)
        self.shardable = problem is None  # FSDP has no forward-mode derivatives

    @property
    def trained(self) -> GridOperator:
        """What is evaluated and kept: the average of the weights where there is one."""
        return self.operator if self.average is None else self.average

    # Batches ----------------------------------------------------------------------------------------------------
    def __len__(self) -> int:
        return len(self.pairs)

    def sample(self, generator: torch.Generator, method: str = "uniform", scale: int = 1) -> Batch:
        count = (scale * self.batch,)
        rows = torch.randint(0, len(self), count, generator=generator, device=generator.device)
        return self.batch_of(rows, torch.rand(count, generator=generator, device=generator.device))

    def batch_of(self, rows: Tensor, draws: Tensor) -> Batch:
        """The pairs number ``rows`` (N,); ``draws`` (N,) in [0, 1) is all that is random about them."""
        _, start, end = self.pairs[rows.cpu()]
        leads = (self.times[end] - self.times[start]).to(draws)
        return {PAIRS: Points(torch.stack([leads, draws], -1), rows=rows)}

    # Residuals --------------------------------------------------------------------------------------------------
    def residuals(self, batch: Batch) -> dict[str, Tensor]:
        rows = batch[PAIRS].rows
        assert rows is not None
        samples, first, last = self.pairs[rows.cpu()]
        leads, draws = batch[PAIRS].coordinates.to(self.device, self.dtype).unbind(-1)
        x = self._start(samples, first, draws)
        target = self._place(self.snapshots(samples, last))
        if self.equations is None:
            return self._errors(self._predict(x, leads), target)
        with forward_ad.dual_level():
            dual = self._predict(x, forward_ad.make_dual(leads, torch.ones_like(leads)))
            prediction, slope = forward_ad.unpack_dual(dual)
            if slope is None:
                raise InputError("physics needs an operator that depends on the lead time")
        with without_autocast(prediction):
            coefficients = self.equations.coefficients(samples, target)
            residuals = self.equations(prediction, slope, self.times[last], coefficients)
        return self._errors(prediction, target) | residuals

    def _errors(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        operator = self.operator
        error = (prediction - target) / operator.deviation_out
        if "relative_l2" in self.term_powers:
            norms = (prediction - target).flatten(1).norm(dim=1) / (target.flatten(1).norm(dim=1) + FLOOR)
            terms = {"relative_l2": norms}
        else:
            terms = {f"relative_l1_{n}": error[:, i].flatten() / self.sizes[n] for n, i in self.groups.items()}
        return terms | ({"high_frequency": _high_frequency(error)} if self.high_frequency else {})

    def _predict(self, x: Tensor, leads: Tensor) -> Tensor:
        return self.operator(x, None if self.signature.steady else leads)

    def _start(self, samples: Tensor, first: Tensor, draws: Tensor) -> Tensor:
        """What the operator starts from: the snapshots number ``first``, the pushed ones predicted, and the inputs."""
        if self.signature.steady:
            return self._place(self.snapshots.input_fields(samples))
        fields = self._place(self.snapshots(samples, first))
        inputs = self._place(self.snapshots.input_fields(samples)) if self.signature.input_channels else None
        if self.pushforward:
            fields = self._pushed(fields, inputs, samples, first, draws.cpu())
        if self.noise:
            deviation = self.operator.deviation_in[: len(self.signature.channels)]
            fields = fields + self.noise * deviation * _normal(fields, draws)
        return fields if inputs is None else torch.cat([fields, inputs], 1)

    @torch.no_grad()
    def _pushed(self, fields: Tensor, inputs: Tensor | None, samples: Tensor, first: Tensor, draws: Tensor) -> Tensor:
        """The snapshots number ``first``, the share that is drawn and has an earlier snapshot as predicted from one."""
        pushed = ((draws < self.pushforward) & (first > 0)).nonzero()[:, 0]
        count = len(pushed)
        if not count:  # yet all processes call a sharded operator together: a prediction that nobody needs
            pushed = torch.zeros(1, dtype=torch.long)
        samples, first, draws = samples[pushed], first[pushed], draws[pushed] / self.pushforward
        earlier = (first - 1 - (draws * first.clamp(max=self.pairs.furthest)).long()).clamp(min=0)
        x = self._place(self.snapshots(samples, earlier))
        places = pushed.to(self.device)
        x = x if inputs is None else torch.cat([x, inputs[places]], 1)
        leads = (self.times[first] - self.times[earlier]).to(x)
        return fields.index_copy(0, places[:count], self._predict(x, leads)[:count])

    def _place(self, fields: Tensor) -> Tensor:
        return fields.to(self.device, self.dtype)

    # Evaluation -------------------------------------------------------------------------------------------------
    @torch.no_grad()
    def errors(self) -> dict[str, float]:
        """Median relative L1 error of every group on held-out pairs, one step ahead."""
        found = []
        for x, true in zip(*(part.split(self.batch) for part in self.held_out), strict=True):
            found.append(relative_l1(self.trained(self._place(x))[:, None], self._place(true)[:, None], self.signature.groups))
        return dict(zip(self.groups, median(torch.cat(found)[:, 0]).tolist(), strict=True))

    @torch.no_grad()
    def update_average(self, step: int) -> None:
        """Move the average towards the weights after ``step`` steps, faster in the beginning."""
        if self.average is not None:
            decay = min(self.decay, (1 + step) / (10 + step))
            averaged: list[Tensor] = list(self.average.parameters())
            weights: list[Tensor] = list(self.operator.parameters())
            torch._foreach_lerp_(averaged, weights, 1 - decay)

    def restart_average(self) -> None:
        """Begin the average anew at the weights, as after a divergence has spoilt it."""
        if self.average is not None:
            self.average.load_state_dict(self.operator.state_dict())

    def configuration(self) -> dict[str, Any]:
        return self.signature.configuration()


def _held_out(data: Trajectories, training: int) -> tuple[Tensor, Tensor]:
    """What the operator starts from, and the true fields one step later, of pairs spread over the held-out trajectories."""
    steps = max(len(data.times) - 1, 1)
    count = min(CHECKED, (len(data) - training) * steps)
    rows = torch.linspace(0, (len(data) - training) * steps - 1, count).long()
    samples, first = (training + rows // steps).tolist(), (rows % steps).tolist()
    steady = len(data.times) == 1
    pairs = [data.read([s], [0] if steady else [t, t + 1])[0] for s, t in zip(samples, first, strict=True)]
    fields = torch.stack(pairs)
    parts = [] if steady else [fields[:, 0]]
    parts += [data.inputs(samples)] if data.input_channels else []
    return torch.cat(parts, 1), fields[:, -1]


def _high_frequency(error: Tensor) -> Tensor:
    """Real and imaginary parts of the error's Fourier coefficients, weighted so that their mean square is the mean over
    the modes of the half space of (|k| / max |k|)^1.5 |E(k)|^2."""
    with without_autocast(error):
        error = at_least_single(error)
        axes = tuple(range(2, error.ndim))
        weight = 2 * relative_radius(error.shape[2:], error) ** EXPONENT
        modes = torch.view_as_real(torch.fft.rfftn(error, dim=axes, norm="ortho"))
        return (weight.sqrt()[..., None] * modes).flatten()


def _normal(like: Tensor, draws: Tensor) -> Tensor:
    """Normal numbers of the shape of ``like``, sample by sample from its draw alone, whatever process it is in."""
    noise = torch.empty_like(like)
    for row, draw in zip(noise, draws.tolist(), strict=True):
        row.normal_(generator=torch.Generator(like.device).manual_seed(int(draw * 2**24)))
    return noise
