"""Reaction and diffusion on an interval against closed solutions."""

from __future__ import annotations

import math

import pytest
import torch

from sciml.errors import DivergenceError
from sciml.reference import chebyshev_nodes, reaction_diffusion

NODES = chebyshev_nodes(32, 0, 1)


@pytest.mark.parametrize(
    ("left", "right", "mode"),
    [
        ((1, 0, 0), (1, 0, 0), lambda x: torch.sin(math.pi * x)),
        ((0, 1, 0), (0, 1, 0), lambda x: torch.cos(math.pi * x)),
        ((math.pi, -1, 0), (math.pi, -1, 0), lambda x: torch.sin(math.pi * x) + torch.cos(math.pi * x)),
    ],
)
def test_modes_of_the_heat_equation(left, right, mode) -> None:
    times = [0.0, 0.5, 2.0]
    u = reaction_diffusion(NODES, 0.1, torch.zeros_like, mode(NODES), times, left=left, right=right)
    assert u.shape == (3, 33)
    for t, field in zip(times, u, strict=True):
        assert (field - math.exp(-0.1 * math.pi**2 * t) * mode(NODES)).abs().max() < 1e-9


def test_boundary_values_and_slopes_are_held() -> None:
    # Any start tends to the line 3 - 2 x.
    u = reaction_diffusion(
        NODES, 1.0, torch.zeros_like, 3 - 2 * torch.sin(math.pi / 2 * NODES), [0, 20], left=(1, 0, 3), right=(0, 1, -2)
    )
    assert (u[-1] - (3 - 2 * NODES)).abs().max() < 1e-9


def test_logistic_growth() -> None:
    start = torch.full_like(NODES, 0.1)
    u = reaction_diffusion(NODES, 1.0, lambda u: u * (1 - u), start, [0, 1, 5], left=(0, 1, 0), right=(0, 1, 0))
    for t, field in zip([1, 5], u[1:], strict=True):
        assert (field - 1 / (1 + 9 * math.exp(-t))).abs().max() < 1e-9


def test_a_capacity_slows_what_happens() -> None:
    # With 1/u the logistic equation becomes u_t = u^2 (1 - u).
    start = torch.full_like(NODES, 0.1)
    slow = reaction_diffusion(
        NODES, 1.0, lambda u: u * (1 - u), start, [0, 5, 12], left=(0, 1, 0), right=(0, 1, 0), capacity=lambda u: 1 / u
    )
    for t, field in zip([5, 12], slow[1:], strict=True):
        u = field[0].item()
        assert math.log(u / (1 - u)) - 1 / u == pytest.approx(t + math.log(1 / 9) - 10, abs=1e-7)
        assert (field - u).abs().max() < 1e-9


def test_a_front_at_rest_stays() -> None:
    nodes = chebyshev_nodes(224, -1, 1)
    front = torch.tanh(nodes * math.sqrt(5 / (2 * 1e-2)))
    u = reaction_diffusion(
        nodes,
        1e-2,
        lambda u: 5 * (u - u**3),
        front,
        [0, 1],
        left=(1, 0, front[0].item()),
        right=(1, 0, front[-1].item()),
    )
    assert (u[-1] - front).abs().max() < 1e-9


def test_a_solution_that_ends_is_reported() -> None:
    start = torch.full((5,), 0.5, dtype=torch.float64)
    with pytest.raises(DivergenceError, match="did not reach t=5"):
        reaction_diffusion(
            chebyshev_nodes(4, 0, 1),
            1e-3,
            lambda u: torch.sqrt(u) - 1,
            start,
            [0, 0.1, 5],
            left=(0, 1, 0),
            right=(0, 1, 0),
        )
