"""The lid-driven cavity: published extrema, another discretisation, self-convergence and the equation itself."""

from __future__ import annotations

import numpy as np
import pytest

from sciml.errors import DivergenceError
from sciml.reference import CavityFlow, cavity_flow, chebyshev_nodes, differentiation_matrix
from sciml.reference.cavity import _corner, _Galerkin

MIDDLE = np.array([0.5])
# u on x = 0.5 by Ghia, Ghia & Shin (1982), table I: y, Re = 100, 400, 1000.
GHIA = np.array(
    [
        [0.9766, 0.84123, 0.75837, 0.65928],
        [0.9531, 0.68717, 0.55892, 0.46604],
        [0.8516, 0.23151, 0.29093, 0.33304],
        [0.7344, 0.00332, 0.16256, 0.18719],
        [0.5000, -0.20581, -0.11477, -0.06080],
        [0.2813, -0.15662, -0.32726, -0.27805],
        [0.1719, -0.10150, -0.24299, -0.38289],
        [0.0625, -0.04192, -0.09266, -0.20196],
    ]
)


def _extrema(flow: CavityFlow) -> tuple[float, float, float]:
    """Least u on x = 0.5, greatest and least v on y = 0.5: the vertex of a parabola through the best three of a grid."""
    grid = np.linspace(0, 1, 2001)

    def least(values: np.ndarray) -> float:
        left, best, right = values[(k := values.argmin()) - 1 : k + 2]
        return best - (right - left) ** 2 / (8 * (left - 2 * best + right))

    u, v = flow(MIDDLE, grid).psi_y[0], -flow(grid, MIDDLE).psi_x[:, 0]
    return least(u), -least(-v), least(v)


@pytest.mark.parametrize(
    "re, published, tolerance",
    [
        # Botella & Peyret (1998) at 1000; Marchi et al. (2009) at 100, whose u is 7e-7 from Botella & Peyret's -0.2140424.
        (100.0, (-0.2140417, 0.1795728, -0.2538030), 1e-6),
        (1000.0, (-0.3885698, 0.3769447, -0.5270771), 3e-7),
    ],
)
def test_published_extrema(re: float, published: tuple[float, ...], tolerance: float) -> None:
    assert _extrema(cavity_flow(re)) == pytest.approx(published, abs=tolerance)


@pytest.mark.parametrize("column, re", [(1, 100.0), (2, 400.0), (3, 1000.0)])
def test_ghia(column: int, re: float) -> None:
    u = cavity_flow(re)(MIDDLE, GHIA[:, 0]).psi_y[0]
    assert abs(u - GHIA[:, column]).max() < 0.01


@pytest.mark.parametrize(
    "re, modes, tolerance",
    [
        (1.0, 70, 1e-9),
        (100.0, 116, 1e-7),
        pytest.param(1000.0, 140, 1e-6, marks=pytest.mark.slow),
        pytest.param(5000.0, 180, 1e-6, marks=pytest.mark.slow),
    ],
)
def test_self_convergence(re: float, modes: int, tolerance: float) -> None:
    grid = np.linspace(0, 1, 65)[1:-1]
    ours, finer = cavity_flow(re)(grid, grid), CavityFlow(re, modes)(grid, grid)
    for a, b in zip(ours[:3], finer[:3], strict=True):
        assert np.linalg.norm(a - b) < tolerance * np.linalg.norm(b)


def test_the_vorticity_equation() -> None:
    # Pointwise, by Chebyshev differentiation inside; the method itself only integrates.
    re = 100.0
    nodes = chebyshev_nodes(24, 0.25, 0.75)
    d = differentiation_matrix(nodes).numpy()
    flow = cavity_flow(re)(nodes.numpy(), nodes.numpy())
    vorticity = -flow.laplacian
    transport = flow.psi_y * (d @ vorticity) - flow.psi_x * (vorticity @ d.T)
    diffusion = (d @ d @ vorticity + vorticity @ d.T @ d.T) / re
    assert abs(transport - diffusion).max() < 1e-4 * abs(transport).max()
    assert abs(d @ flow.psi - flow.psi_x).max() < 1e-9
    assert abs(flow.psi @ d.T - flow.psi_y).max() < 1e-9


@pytest.mark.parametrize("re", [1.0, -1.0])
def test_the_corner_term_balances_inertia(re: float) -> None:
    # Transport and diffusion are of order 1 / r^2 each, what the two terms leave of order 1 / r. y points down here.
    nodes = chebyshev_nodes(24, 1e-3, 2e-3)
    d = differentiation_matrix(nodes).numpy()
    flow = _corner(re, nodes.numpy()[:, None], nodes.numpy())
    transport = flow.psi_x * (flow.laplacian @ d.T) - flow.psi_y * (d @ flow.laplacian)
    diffusion = (d @ d @ flow.laplacian + flow.laplacian @ d.T @ d.T) / re
    assert abs(transport - diffusion).max() < 1e-2 * abs(transport).max()


def test_boundary_values() -> None:
    grid, ends = np.linspace(0, 1, 101), np.array([0.0, 1.0])
    for flow, moving in ((cavity_flow(100.0)(grid, ends), 1.0), (cavity_flow(100.0)(ends, grid), 0.0)):
        assert abs(flow.psi).max() < 1e-14
        inner = (slice(1, -1), -1) if moving else (-1, slice(1, -1))
        assert abs(flow.psi_y[inner] - moving).max() < 1e-10
        assert abs(flow.psi_x[inner]).max() < 1e-10


def test_stokes_flow_is_symmetric() -> None:
    grid = np.linspace(0, 1, 33)
    psi = CavityFlow(0.0, 48)(grid, grid).psi
    assert abs(psi - psi[::-1]).max() < 1e-12


def test_a_flow_that_is_not_found_is_reported() -> None:
    with pytest.raises(DivergenceError, match=r"re=1e\+08"):
        _Galerkin(1e8, 6).solve(1e8, np.zeros((6, 6)), 1e-12)


@pytest.mark.slow
def test_finite_elements_agree() -> None:
    grid = np.linspace(0, 1, 41)[2:-2]
    u, v = _taylor_hood(100.0, 48, grid)
    flow = cavity_flow(100.0)(grid, grid)
    assert abs(u - flow.psi_y).max() < 2e-3
    assert abs(v + flow.psi_x).max() < 2e-3


def _taylor_hood(re: float, n: int, grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """u and v on ``grid`` x ``grid`` by Q2/Q1 finite elements on n x n graded cells and Newton's method."""
    skfem = pytest.importorskip("skfem")
    from skfem.helpers import ddot, div, dot, grad, mul

    side = (1 - np.cos(np.pi * np.linspace(0, 1, n + 1))) / 2
    mesh = skfem.MeshQuad.init_tensor(side, side)
    velocity = skfem.Basis(mesh, skfem.ElementVector(skfem.ElementQuad2()), intorder=5)
    pressure = velocity.with_element(skfem.ElementQuad1())

    @skfem.BilinearForm
    def viscous(u, w, _):
        return ddot(grad(u), grad(w)) / re

    @skfem.BilinearForm
    def divergence(u, q, _):
        return -div(u) * q

    @skfem.BilinearForm
    def linearised(u, w, at):
        return dot(mul(grad(at.old), u) + mul(grad(u), at.old), w)

    @skfem.LinearForm
    def inertia(w, at):
        return dot(mul(grad(at.old), at.old), w)

    from scipy.sparse import bmat

    stiffness, b = viscous.assemble(velocity), divergence.assemble(velocity, pressure)
    size = velocity.N
    lid = velocity.get_dofs(lambda x: x[1] == 1).all("u^1")
    corner = np.isin(lid, velocity.get_dofs(lambda x: (x[0] == 0) | (x[0] == 1)).all())
    state = np.zeros(size + pressure.N)
    state[lid[~corner]] = 1
    fixed = np.append(velocity.get_dofs().all(), size)  # and the pressure at one point
    for _ in range(12):
        old = velocity.interpolate(state[:size])
        jacobian = bmat([[stiffness + linearised.assemble(velocity, old=old), b.T], [b, None]], "csr")
        residual = bmat([[stiffness, b.T], [b, None]], "csr") @ state
        residual[:size] += inertia.assemble(velocity, old=old)
        step = skfem.solve(*skfem.condense(jacobian, -residual, D=fixed, x=np.zeros_like(state)))
        state += step
        if abs(step).max() < 1e-10:
            break
    x, y = np.meshgrid(grid, grid, indexing="ij")
    values = velocity.interpolator(state[:size])(np.stack([x.ravel(), y.ravel()]))
    return values[0].reshape(x.shape), values[1].reshape(x.shape)
