"""What a classical method reaches: spectral ones on intervals, rectangles and circles, finite elements elsewhere.

Every function takes the problem and returns its relative L2 error, at a resolution at which such a method is normally used.
Chosen by hand for each equation, which is what the solvers of this package spare their user.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sciml.norms import relative_l2
from sciml.reference import FourierGrid, chebyshev_nodes, etdrk4, interpolate, reaction_diffusion
from sciml.reference.cavity import CavityFlow
from sciml.reference.chebyshev import differentiation_matrix

TIMES = torch.linspace(0, 1, 201, dtype=torch.float64)


def run(name: str, problem: Any) -> dict[str, Any] | None:
    """Errors and seconds; None where there is no classical solver here."""
    if name not in METHODS:
        return None
    method, solve = METHODS[name]
    began = time.monotonic()
    found = solve(problem)
    taken = time.monotonic() - began
    return {"method": method, "seconds": taken, "errors": found()}


Errors = Callable[[], dict[str, float]]
"""Compares what was solved; not part of the time."""


def _on_grid(problem: Any, x: Tensor, u: Tensor) -> Errors:
    """Errors of u (T, X) at all ``TIMES`` and ``x``."""

    def errors() -> dict[str, float]:
        if hasattr(problem, "exact"):
            t, place = torch.meshgrid(TIMES, x, indexing="ij")
            true = problem.exact(place.flatten(), t.flatten())["u"].numpy()
        else:
            true = problem.reference()["u"].transpose("t", "x").values.ravel()
        return {"u": relative_l2(u.numpy().ravel(), true)}

    return errors


def _circle(n: int, steps: int, symbol: Callable[..., Tensor], nonlinear: Callable[..., Any] | None = None) -> Any:
    """Fourier in space, ETDRK4 in time, on n points."""

    def solve(problem: Any) -> Errors:
        low, high = (float(bound[0]) for bound in problem.domain.bounds)
        grid = FourierGrid((low,), (high,), (n,))
        initial = next(c for c in problem.conditions() if "u" in getattr(c, "values", {}) and c.kind == "initial").values["u"]
        rate = nonlinear(problem, grid) if nonlinear else torch.zeros_like
        found = etdrk4(symbol(problem, grid), rate, grid.forward(initial(*grid.points())), TIMES, steps)
        x = torch.linspace(low, high, 513, dtype=torch.float64)
        return _on_grid(problem, x, grid.evaluate(found, x))

    return solve


def _square(grid: FourierGrid, factor: float) -> Callable[[Tensor], Tensor]:
    """-factor / 2 (u^2)_x without aliases."""
    flux = -factor / 2 * grid.derivative(1) * grid.dealias()
    return lambda v: flux * grid.forward(grid.inverse(v) ** 2)


def _chebyshev(n: int, left: tuple, right: tuple, low: float, reaction: Callable[[Tensor], Tensor]) -> Any:
    """Chebyshev collocation in space, Radau in time."""

    def solve(problem: Any) -> Errors:
        nodes = chebyshev_nodes(n, low, float(problem.domain.bounds[1][0]))
        initial = problem.conditions()[0].values["u"](nodes)
        found = reaction_diffusion(nodes, float(problem.diffusivity), reaction, initial, TIMES.tolist(), left=left, right=right)
        x = torch.linspace(float(problem.domain.bounds[0][0]), float(problem.domain.bounds[1][0]), 513, dtype=torch.float64)
        return _on_grid(problem, x, interpolate(nodes, found, x.abs() if low == 0.0 else x))

    return solve


def _helmholtz(problem: Any) -> Errors:
    """Chebyshev collocation on a square; the two directions decouple into a Sylvester equation."""
    from scipy.linalg import solve_sylvester

    nodes = chebyshev_nodes(48, -1, 1)
    derivative = differentiation_matrix(nodes)
    second = (derivative @ derivative)[1:-1, 1:-1] + problem.k**2 / 2 * torch.eye(len(nodes) - 2, dtype=torch.float64)
    x, y = torch.meshgrid(nodes[1:-1], nodes[1:-1], indexing="ij")
    true = problem.exact(x.flatten(), y.flatten())["u"].reshape(x.shape)
    k1, k2 = problem.a1 * np.pi, problem.a2 * np.pi
    source = (problem.k**2 - k1**2 - k2**2) * true
    u = solve_sylvester(second.numpy(), second.numpy().T, source.numpy())
    return lambda: {"u": relative_l2(u.ravel(), true.numpy().ravel())}


def _vibration(force: Callable[[Any, Tensor, float, Tensor], Tensor], speed: Callable[[Any], float]) -> Any:
    """u_tt = c^2 u_xx + force with given end values: Chebyshev collocation, Runge-Kutta of order 8."""

    def solve(problem: Any) -> Errors:
        from scipy.integrate import solve_ivp

        nodes = chebyshev_nodes(32, 0, 1)
        derivative = differentiation_matrix(nodes)
        second = speed(problem) ** 2 * derivative @ derivative
        ends, inner = nodes[[0, -1]], nodes[1:-1]

        def rate(t: float, state: np.ndarray) -> np.ndarray:
            u, velocity = torch.from_numpy(state).split(len(inner))
            left, right = problem.exact(ends, torch.full_like(ends, t))["u"]
            full = torch.cat([left[None], u, right[None]])
            return torch.cat([velocity, (second @ full)[1:-1] + force(problem, inner, t, u)]).numpy()

        start = problem.exact(inner, torch.zeros_like(inner))["u"]
        found = solve_ivp(
            rate, (0, 1), torch.cat([start, torch.zeros_like(start)]).numpy(), method="DOP853", t_eval=TIMES.numpy(),
            rtol=1e-10, atol=1e-12,
        )  # fmt: skip
        return _on_grid(problem, inner, torch.from_numpy(found.y[: len(inner)].T))

    return solve


def _klein_gordon_force(problem: Any, x: Tensor, t: float, u: Tensor) -> Tensor:
    """f - u^3, from the residual of the declared equation at u = 0."""
    from sciml.jets import Field

    zero = Field(problem.coordinates, lambda _: torch.zeros_like(x))
    points = torch.stack([x, torch.full_like(x, t)], dim=1)
    return -problem.residuals({"u": zero}, points)["klein_gordon"] - u**3


def _cavity(problem: Any) -> Errors:
    axis = np.linspace(0, 1, 129)
    flow = CavityFlow(problem.re, modes=40)(axis, axis)

    def errors() -> dict[str, float]:
        known = problem.reference()
        fields = {"psi": flow.psi, "u": flow.psi_y, "v": -flow.psi_x}
        return {name: relative_l2(values.ravel(), known[name].values.ravel()) for name, values in fields.items()}

    return errors


def _elements(mesh: Callable[[], Any], load: float, values: Callable[[np.ndarray], np.ndarray]) -> Any:
    """-Laplace(u) = load by quadratic triangles; ``values`` (N,) are those at boundary points (2, N)."""

    def solve(problem: Any) -> Errors:
        import skfem
        from skfem.models.poisson import laplace, unit_load

        basis = skfem.Basis(mesh(), skfem.ElementTriP2(), intorder=6)
        boundary = basis.get_dofs().all()
        u = basis.zeros()
        u[boundary] = values(basis.doflocs[:, boundary])
        u = skfem.solve(*skfem.condense(laplace.assemble(basis), load * unit_load.assemble(basis), x=u, D=boundary))

        def errors() -> dict[str, float]:
            points = np.asarray(basis.global_coordinates())
            exact = problem.exact(*(torch.from_numpy(axis.ravel()) for axis in points))["u"].numpy()
            found = np.asarray(basis.interpolate(u))
            return {"u": relative_l2(found.ravel(), exact, basis.dx.ravel())}

        return errors

    return solve


def _l_mesh() -> Any:
    """Graded towards the re-entrant corner."""
    import skfem

    mesh = skfem.MeshTri.init_lshaped().refined(4)
    for level in range(14):
        radius = np.linalg.norm(mesh.p[:, mesh.t].mean(1), axis=0)
        mesh = mesh.refined(np.nonzero(radius < 0.5**level)[0])
    return mesh


def _hole_mesh() -> Any:
    """A triangulation of points that lie on rings around the holes, and on a grid elsewhere."""
    import skfem
    from scipy.spatial import Delaunay

    centres = np.array([(x, y) for x in (-0.3, 0.3) for y in (-0.3, 0.3)])
    angles = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    ring = np.stack([np.cos(angles), np.sin(angles)], 1)
    rings = [c + r * ring for c in centres for r in 0.1 * 1.06 ** np.arange(9)]
    line = np.linspace(-0.5, 0.5, 81)
    plane = np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)
    distance = np.linalg.norm(plane[:, None] - centres, axis=2).min(1)
    points = np.concatenate([plane[distance > 0.168], *rings])
    triangles = Delaunay(points).simplices
    middle = points[triangles].mean(1)
    kept = np.linalg.norm(middle[:, None] - centres, axis=2).min(1) > 0.0999
    used, numbers = np.unique(triangles[kept], return_inverse=True)
    return skfem.MeshTri(points[used].T.copy(), numbers.reshape(-1, 3).T.copy())


def _hole_values(points: np.ndarray) -> np.ndarray:
    return np.where(np.abs(points).max(0) > 0.499, 1.0, 0.0)


def _inverse_diffusion(problem: Any) -> Errors:
    """Chebyshev collocation and Radau inside of a least-squares fit of the one coefficient."""
    from scipy.optimize import least_squares

    data = problem.conditions()[2]
    places, measured = data.points, data.values["u"]
    times, row = places[:, 1].unique(return_inverse=True)
    nodes = chebyshev_nodes(16, 0, 1)
    initial = torch.sin(np.pi * nodes)
    ends = (1, 0, 0)

    def solved(diffusivity: float, at: Tensor) -> Tensor:
        output = [0.0, *at.tolist()]
        found = reaction_diffusion(nodes, diffusivity, torch.zeros_like, initial, output, left=ends, right=ends, tolerance=1e-7)
        return found[1:]

    def misfit(raw: np.ndarray) -> np.ndarray:
        values = interpolate(nodes, solved(float(np.exp(raw[0])), times), places[:, 0])
        return (values[row, torch.arange(len(row))] - measured).numpy()

    fitted = float(np.exp(least_squares(misfit, [0.0], x_scale=0.3).x[0]))
    x = torch.linspace(0, 1, 129, dtype=torch.float64)
    u = torch.cat([torch.sin(np.pi * x)[None], interpolate(nodes, solved(fitted, TIMES[1:]), x)])
    return _on_grid(problem, x, u)


def _cubic(u: Tensor) -> Tensor:
    return 5 * (u - u**3)


METHODS: dict[str, tuple[str, Callable[[Any], Errors]]] = {
    "helmholtz": ("Chebyshev, 49 x 49", _helmholtz),
    "convection": ("Fourier, 64", _circle(64, 1, lambda p, g: -p.beta * g.derivative(1))),
    "klein_gordon": ("Chebyshev, 33", _vibration(_klein_gordon_force, lambda p: 1.0)),
    "wave": ("Chebyshev, 33", _vibration(lambda p, x, t, u: torch.zeros_like(u), lambda p: p.c)),
    "heat": ("Chebyshev, 25", _chebyshev(24, (1, 0, 0), (1, 0, 0), 0.0, torch.zeros_like)),
    "poisson_l_shape": ("graded quadratic elements", _elements(_l_mesh, 1.0, lambda p: 0 * p[0])),
    "poisson_holes": ("quadratic elements", _elements(_hole_mesh, 0.0, _hole_values)),
    "burgers": ("Fourier, 1024", _circle(1024, 40, lambda p, g: p.nu * g.derivative(2), lambda p, g: _square(g, 1.0))),
    "allen_cahn": ("Chebyshev, 129", _chebyshev(128, (0, 1, 0), (1, 0, -1), 0.0, _cubic)),
    "allen_cahn_periodic": (
        "Fourier, 512",
        _circle(
            512, 2, lambda p, g: p.diffusivity * g.derivative(2) + 5,
            lambda p, g: lambda v: -5 * g.forward(g.inverse(v) ** 3),
        ),
    ),
    "kdv": ("Fourier, 256", _circle(256, 20, lambda p, g: -p.dispersion * g.derivative(3), lambda p, g: _square(g, 1.0))),
    "cavity": ("Galerkin, 40 x 40", _cavity),
    "inverse_diffusion": ("Chebyshev, 17, fitted", _inverse_diffusion),
}  # fmt: skip
