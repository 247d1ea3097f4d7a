"""Chebyshev nodes, differentiation and interpolation."""

from __future__ import annotations

import torch

from sciml.reference import chebyshev_nodes, differentiation_matrix, interpolate


def test_nodes_run_from_end_to_end() -> None:
    nodes = chebyshev_nodes(10, -2, 3)
    assert nodes.shape == (11,)
    assert (nodes[0], nodes[-1]) == (-2, 3)
    assert (nodes.diff() > 0).all()
    centred = chebyshev_nodes(10, -1, 1)
    assert torch.equal(centred, -centred.flip(0))


def test_differentiation_is_spectrally_accurate() -> None:
    nodes = chebyshev_nodes(24, 0, 2)
    derivative = differentiation_matrix(nodes)
    wave = torch.sin(3 * nodes)
    assert (derivative @ wave - 3 * torch.cos(3 * nodes)).abs().max() < 1e-11
    assert (derivative @ derivative @ wave + 9 * wave).abs().max() < 1e-9
    assert (derivative @ torch.ones_like(nodes)).abs().max() < 1e-12


def test_interpolation_is_exact_for_polynomials_and_at_nodes() -> None:
    nodes = chebyshev_nodes(5, -1, 2)
    values = torch.stack([nodes**5 - nodes, 2 * nodes**2])
    points = torch.cat([torch.linspace(-1, 2, 17, dtype=torch.float64), nodes])
    expected = torch.stack([points**5 - points, 2 * points**2])
    assert (interpolate(nodes, values, points) - expected).abs().max() < 1e-13
    assert torch.equal(interpolate(nodes, values, nodes), values)
