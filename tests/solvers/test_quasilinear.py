"""The characteristic speed is read off any declared equation, and derivatives follow characteristics by the chain rule."""

from __future__ import annotations

import torch
from torch import Tensor

from problems import Rotation
from sciml.geometry import Interval, Time
from sciml.jets import autograd
from sciml.problem import Problem
from sciml.solvers.quasilinear import along_characteristics, check_quasilinear, eulerian, speed, volume_gradient

T = torch.float64


class Weighted(Problem):
    """A speed in disguise: 2u / (1 + x^2) once divided by the factor of u_t, less the slope of the diffusivity."""

    coordinates, unknowns = ("x", "t"), ("u",)
    domain = Interval("x", 0, 1) * Time("t", 0, 1)

    def equations(self, u, x, t):
        return {"e": (1 + x**2) * (u.t + u**3) + 2 * u * u.x - (torch.exp(x) * u.x).x}


class System(Problem):
    """Two unknowns, coupled in every derivative, that travel at the speed u + v."""

    coordinates, unknowns = ("x", "t"), ("u", "v")
    domain = Interval("x", 0, 1) * Time("t", 0, 1)

    def equations(self, u, v, x, t):
        first, second = u.t + (u + v) * u.x, v.t + (u + v) * v.x
        return {"a": 2 * first + second - u * v, "b": first - 3 * second + torch.sin(x)}


def _points(n: int, d: int) -> Tensor:
    return torch.rand(n, d, dtype=T, generator=torch.Generator().manual_seed(0))


def test_speed_is_read_off_the_equation() -> None:
    points = _points(7, 2)
    x, u = points[:, 0], torch.linspace(-1, 1, 7, dtype=T)
    check_quasilinear(Weighted())
    expected = (2 * u - torch.exp(x)) / (1 + x**2)
    assert torch.allclose(speed(Weighted(), {"u": u}, points)[:, 0], expected, rtol=1e-12)
    check_quasilinear(System())
    assert torch.allclose(speed(System(), {"u": u, "v": u**2}, points)[:, 0], u + u**2, atol=1e-12)


def test_speed_in_the_plane() -> None:
    points = _points(5, 3)
    velocity = speed(Rotation(turns=1.0), {"u": points[:, 0]}, points)
    expected = 2 * torch.pi * torch.stack([-points[:, 1], points[:, 0]], 1)
    assert torch.allclose(velocity, expected, rtol=1e-12)


def test_rest_of_the_equation_along_characteristics() -> None:
    """For any field, residual = residual along characteristics when du/dt = u_t + c u_x."""
    problem, points = Weighted(), _points(9, 2)
    (u,) = autograd(lambda p: torch.sin(p[:, :1] * 2 + p[:, 1:]), points, ("x", "t"))
    rate = u.t.value + speed(problem, {"u": u.value}, points)[:, 0] * u.x.value
    (along,) = along_characteristics(problem, {"u": u}, {"u": rate}, points).values()
    (direct,) = problem.residuals({"u": u}, points).values()
    assert torch.allclose(along, direct, atol=1e-11)


def _check_chain_rule(names: tuple[str, ...], motion, field, orders) -> None:
    labels = _points(6, len(names))
    space, d = names[:-1], len(names) - 1
    positions = autograd(motion, labels, names)
    (state,) = autograd(lambda p: field(torch.cat([motion(p), p[:, -1:]], 1)), labels, names)
    places = torch.cat([torch.stack([x.value for x in positions], 1), labels[:, d:]], 1).detach()
    (true,) = autograd(field, places, names)
    jet = eulerian(positions, state, space, "t")
    for index in orders:
        assert torch.allclose(jet.partial(index), true.partial(index), rtol=1e-8, atol=1e-9), index


def test_chain_rule_on_a_line() -> None:
    _check_chain_rule(
        ("x", "t"),
        lambda p: p[:, :1] + p[:, 1:] * (1 + 0.4 * torch.sin(2 * p[:, :1])),
        lambda p: torch.sin(3 * p[:, :1]) * torch.exp(-p[:, 1:]),
        [(0, 0), (1, 0), (2, 0), (3, 0), (0, 1)],
    )


def test_chain_rule_in_the_plane() -> None:
    def motion(p: Tensor) -> Tensor:
        x, y, t = p.unbind(-1)
        return torch.stack([x + t * torch.sin(x + y), y - 0.5 * t * x * y], 1)

    _check_chain_rule(
        ("x", "y", "t"),
        motion,
        lambda p: (torch.sin(p[:, 0]) * torch.exp(p[:, 1]) * (1 + p[:, 2]))[:, None],
        [(1, 0, 0), (0, 1, 0), (2, 0, 0), (1, 1, 0), (0, 2, 0), (0, 0, 1)],
    )


def test_gradient_of_the_space_that_a_label_takes() -> None:
    def motion(p: Tensor) -> Tensor:
        x, y, t = p.unbind(-1)
        along, across = x + 0.3 * torch.sin(x + y), y + 0.2 * t * x * y
        return torch.stack([along - across, along + across], -1)  # turned: labels and positions have other directions

    def volume(p: Tensor) -> Tensor:
        return torch.linalg.det(torch.func.jacrev(motion)(p)[:, :2])

    labels = _points(6, 3)
    positions = autograd(motion, labels, ("x", "y", "t"))
    by_label = torch.stack([torch.func.grad(volume)(p)[:2] for p in labels])
    jacobian = torch.stack([torch.func.jacrev(motion)(p)[:, :2] for p in labels])
    expected = torch.linalg.solve(jacobian.mT, by_label)
    assert torch.allclose(volume_gradient(positions, ("x", "y"), "t"), expected, rtol=1e-9)
