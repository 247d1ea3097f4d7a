"""The steady flow in a square cavity under a moving lid, to high order."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial, legendre
from numpy.typing import NDArray

from sciml.errors import DivergenceError

Array = NDArray[np.float64]
_STEPS = (0.0, 100.0, 250.0, 600.0, 1000.0, 1600.0, 2500.0, 4000.0)  # Reynolds numbers on the way to a larger one
_COARSE = 40


class Flow(NamedTuple):
    """Stream function and its derivatives on a grid, x along the first axis."""

    psi: Array
    psi_x: Array
    psi_y: Array
    laplacian: Array


class CavityFlow:
    """Steady incompressible flow in [0, 1]^2 under a lid at y = 1 that moves with velocity 1.

    psi = singular part + sum of coefficients[i, j] b_i(x) b_j(y): a Galerkin method in the stream function with
    b_k of Legendre polynomials, b_k = b_k' = 0 at both ends (Shen, SIAM J. Sci. Comput. 15, 1994). The singular part
    takes up the jump of the velocity at the two lid corners, with its first correction for inertia, as in
    Botella & Peyret, Computers & Fluids 27 (1998), and every boundary value: cut off smoothly, the two corners' parts
    add up to the lid's velocity. Newton's method starts from Stokes flow and raises the Reynolds number on few modes.

    Args:
        re: Reynolds number.
        modes: basis functions in each direction.

    Raises:
        DivergenceError: Newton's method fails.
    """

    def __init__(self, re: float, modes: int) -> None:
        self.re = re
        self.coefficients = np.zeros((_COARSE, _COARSE))
        coarse = _Galerkin(re, _COARSE)
        for step in (*(step for step in _STEPS if step < re), re):
            self.coefficients = coarse.solve(step, self.coefficients, tolerance=1e-3)
        padded = np.zeros((modes, modes))
        kept = min(modes, _COARSE)
        padded[:kept, :kept] = self.coefficients[:kept, :kept]
        self.coefficients = _Galerkin(re, modes).solve(re, padded, tolerance=1e-7)

    def __call__(self, x: Array, y: Array) -> Flow:
        """The flow on the grid of ``x`` (n,) and ``y`` (m,): arrays (n, m); vorticity is infinite at the lid's ends."""
        modes = len(self.coefficients)
        return _flow(self.coefficients, _basis(modes, x), _basis(modes, y), _singular(self.re, x, y))


@lru_cache(maxsize=8)
def cavity_flow(re: float) -> CavityFlow:
    """The flow at Reynolds number ``re``, velocities to a relative L2 of 1e-7 at 100 and 1e-6 up to 5000."""
    return CavityFlow(re, modes=round(84 + math.sqrt(re)))


class _Galerkin:
    """int Laplace(psi) Laplace(b) + re Laplace(psi) (psi_y b_x - psi_x b_y) = 0 for every basis function b."""

    def __init__(self, re: float, modes: int) -> None:
        nodes, weights = legendre.leggauss(3 * modes // 2 + 20)
        # A change of variables that is flat at the ends smooths the corners' singularity.
        to_unit = _smooth_step(1)
        x = to_unit((nodes + 1) / 2)
        weights = weights / 2 * to_unit.deriv()((nodes + 1) / 2)
        self._weights = np.multiply.outer(weights, weights)
        self._basis = _basis(modes, x)
        self._singular = _singular(re, x, x)
        # b'' are orthonormal, so that the biharmonic operator is 1 x mass + mass x 1 + 2 stiffness x stiffness. Without
        # the last term, which is no larger than the others, it preconditions.
        b, _, _ = self._basis
        self._mass, self._vectors = np.linalg.eigh((b * weights) @ b.T)

    def solve(self, re: float, coefficients: Array, tolerance: float) -> Array:
        """Newton's method with GMRES, to an error a hundredth of ``tolerance`` relative to the coefficients."""
        from scipy.sparse.linalg import LinearOperator, gmres  # slow to import

        for _ in range(20):
            flow = _flow(coefficients, self._basis, self._basis, self._singular)
            step, _ = gmres(
                LinearOperator((coefficients.size,) * 2, self._jacobian(re, flow)),
                -self._integrals(flow.laplacian, re * flow.laplacian * flow.psi_y, -re * flow.laplacian * flow.psi_x),
                rtol=1e-2, restart=150, maxiter=4,
            )  # fmt: skip
            coefficients = coefficients + step.reshape(coefficients.shape)
            if abs(step).max() <= tolerance * abs(coefficients).max():
                return coefficients
        raise DivergenceError(f"the flow in the cavity was not found at re={re:g}; take a smaller one")

    def _jacobian(self, re: float, flow: Flow) -> Callable[[Array], Array]:
        b, b1, b2 = self._basis

        def product(step: Array) -> Array:
            step = step.reshape(len(b), len(b))
            along, up = step @ b, b.T @ step
            psi_x, psi_y, laplacian = b1.T @ along, up @ b1, b2.T @ along + up @ b2
            return self._integrals(
                laplacian,
                re * (laplacian * flow.psi_y + flow.laplacian * psi_y),
                -re * (laplacian * flow.psi_x + flow.laplacian * psi_x),
            )

        return product

    def _integrals(self, laplacian: Array, x: Array, y: Array) -> Array:
        """Of laplacian Laplace(b) + x b_x + y b_y for every b, preconditioned and flat."""
        b, b1, b2 = self._basis
        laplacian = self._weights * laplacian
        integrals = (b2 @ laplacian + b1 @ (self._weights * x)) @ b.T
        integrals += b @ (laplacian @ b2.T + (self._weights * y) @ b1.T)
        q = self._vectors
        return (q @ ((q.T @ integrals @ q) / np.add.outer(self._mass, self._mass)) @ q.T).ravel()


def _flow(coefficients: Array, x: tuple[Array, ...], y: tuple[Array, ...], singular: Flow) -> Flow:
    def smooth(order_x: int, order_y: int) -> Array:
        return x[order_x].T @ coefficients @ y[order_y]

    return Flow(
        smooth(0, 0) + singular.psi,
        smooth(1, 0) + singular.psi_x,
        smooth(0, 1) + singular.psi_y,
        smooth(2, 0) + smooth(0, 2) + singular.laplacian,
    )


def _basis(modes: int, x: Array) -> tuple[Array, ...]:
    """b_k, b_k' and b_k'' on [0, 1], each (modes, len(x)); the b_k'' are orthonormal."""
    k = np.arange(modes)
    combination = np.zeros((modes + 4, modes))
    combination[k, k] = 1
    combination[k + 2, k] = -2 * (2 * k + 5) / (2 * k + 7)
    combination[k + 4, k] = (2 * k + 3) / (2 * k + 7)
    combination /= 4 * (2 * k + 3) * np.sqrt(2 * (2 * k + 5))
    derivatives = (2**order * legendre.legder(combination, order) for order in range(3))
    return tuple(legendre.legval(2 * x - 1, derivative) for derivative in derivatives)


def _smooth_step(order: int) -> Polynomial:
    """From 0 at 0 to 1 at 1 with ``order`` zero derivatives at both ends; adds up to 1 with its mirror image."""
    step = (Polynomial([0, 1, -1]) ** order).integ()
    return step / step(1.0)


def _singular(re: float, x: Array, y: Array) -> Flow:
    """The lid corners' parts on a grid: zero with their normal derivative on the walls, psi_y = 1 on the lid."""
    cut = _smooth_step(6)
    derivatives = cut, cut.deriv(), cut.deriv(2)
    up, up1, up2 = (derivative(y) for derivative in derivatives)
    total = Flow(*(np.zeros((len(x), len(y))) for _ in Flow._fields))
    for mirror in (1, -1):  # the left corner, then the right one in x -> 1 - x, where the lid runs backwards
        to_wall = x if mirror == 1 else 1 - x
        across, across1, across2 = ((-1) ** k * d(1 - to_wall)[:, None] for k, d in enumerate(derivatives))
        part = _corner(mirror * re, to_wall[:, None], 1 - y)
        psi_across, psi_up = part.psi_x, -part.psi_y
        psi = across * up * part.psi
        along = mirror * up * (across1 * part.psi + across * psi_across)
        vertical = across * (up1 * part.psi + up * psi_up)
        laplacian = (
            across * up * part.laplacian
            + 2 * (across1 * up * psi_across + across * up1 * psi_up)
            + (across2 * up + across * up2) * part.psi
        )
        total = Flow(*(a + b for a, b in zip(total, (psi, along, vertical, laplacian), strict=True)))
    return total


def _corner(re: float, x: Array, y: Array) -> Flow:
    """r f(theta) + re r^2 h(theta) at distances x from the wall and y from the lid, theta = 0 on the lid."""
    r, theta = np.hypot(x, y), np.arctan2(y, x)
    cos, sin = np.cos(theta), np.sin(theta)
    total = Flow(*(np.zeros_like(r) for _ in Flow._fields))
    with np.errstate(divide="ignore"):
        inverse = 1 / r
    for power, (factor, angular) in enumerate(zip((1.0, re), _angular(), strict=True), start=1):
        value, slope, curvature = angular(theta), angular.deriv()(theta), angular.deriv(2)(theta)
        part = (
            r**power * value,
            r ** (power - 1) * (power * value * cos - slope * sin),
            r ** (power - 1) * (power * value * sin + slope * cos),
            (inverse if power == 1 else 1) * (power**2 * value + curvature),
        )
        total = Flow(*(a + factor * b for a, b in zip(total, part, strict=True)))
    return total


@lru_cache(maxsize=1)
def _angular() -> tuple[Chebyshev, Chebyshev]:
    """The angular factors f and h of the first two terms at a lid corner, to rounding.

    f: Taylor's scraper, biharmonic with velocity 1 at theta = 0 and 0 at pi/2. h: the Navier-Stokes equations at the
    next order in r, h'''' + 4 h'' = (f (f + f''))' with h = h' = 0 on both sides.
    """
    c = 1 / (math.pi**2 / 4 - 1)
    f = Chebyshev.interpolate(
        lambda t: c * (t * np.cos(t) + math.pi / 2 * t * np.sin(t) - math.pi**2 / 4 * np.sin(t)), 28, (0, math.pi / 2)
    )
    right = (f * (f + f.deriv(2))).deriv()
    trial = [Chebyshev.basis(k, f.domain) for k in range(29)]
    points = math.pi / 4 * (1 - np.cos(math.pi * np.arange(25) / 24))
    ends = f.domain
    rows = [[*(b.deriv(4) + 4 * b.deriv(2))(points), *b(ends), *b.deriv()(ends)] for b in trial]
    h = np.linalg.solve(np.transpose(rows), [*right(points), 0, 0, 0, 0])
    return f, Chebyshev(h, f.domain)
