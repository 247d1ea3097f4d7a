"""The incompressible Navier-Stokes equations on a torus."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from problems.random_fields import Spectrum, random_field
from sciml.errors import InputError
from sciml.geometry import Domain, Rectangle, Time
from sciml.jets import Jet
from sciml.problem import Condition, Initial, Periodic, Problem
from sciml.reference import FourierGrid, vorticity_flow

if TYPE_CHECKING:
    import xarray as xr

Field = Callable[..., Tensor]


@dataclass(frozen=True)
class NavierStokesVorticity(Problem):
    """w_t + u w_x + v w_y = viscosity lap w + f for the vorticity w = v_x - u_y of a flow in two dimensions.

    On (x, y) in [0, length]^2, periodic, t in [0, duration]. The velocity is u = psi_y, v = -psi_x with the stream
    function psi, lap psi = -w, determined up to a constant. The initial vorticity is random and of mean zero.

    With psi, all but w follows from w on a grid: see ``eliminate``. The families of ``problems.turbulence`` are the same
    equations in the velocity itself, which their data hold.

    Args:
        viscosity: the inverse Reynolds number in units of the period and the initial vorticity.
        seed: of the random initial vorticity.
        spectrum: its family, see ``random_field``.
        initial: w(x, y) at t = 0, (N,) from coordinates (N,), in place of a random one; of mean zero.
        forcing: f(x, y) likewise; None for none.

    Source: the defaults are those of Chalapathi, Du & Krishnapriyan, ICLR 2024, 2402.13412. With spectrum="power_law",
    forcing 0.1 (sin(2 pi (x + y)) + cos(2 pi (x + y))) and viscosity 1e-3 or 1e-5 it is that of Li et al., 2010.08895.

    Raises:
        InputError: a number that is not positive.
    """

    viscosity: float = 1e-4
    duration: float = 5.0
    length: float = 1.0
    seed: int = 0
    spectrum: Spectrum = "periodic_kernel"
    initial: Field | None = None
    forcing: Field | None = None

    coordinates = ("x", "y", "t")
    unknowns = ("w", "psi")
    gauge = ("psi",)

    def __post_init__(self) -> None:
        for name in ("viscosity", "duration", "length"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name}={getattr(self, name)} must be positive")
        if self.initial is None:
            _ = self.vorticity

    @cached_property
    def domain(self) -> Domain:
        return Rectangle(("x", "y"), (0, 0), (self.length, self.length)) * Time("t", 0, self.duration)

    @cached_property
    def vorticity(self) -> Field:
        """The initial vorticity, a function of x and y."""
        return self.initial or random_field(self.seed, self.spectrum, self.length)

    def sample(self, generator: torch.Generator) -> NavierStokesVorticity:
        """This problem with another random initial vorticity."""
        seed = torch.randint(2**31, (), generator=generator, device=generator.device)
        return replace(self, initial=None, seed=int(seed))

    def equations(self, w: Jet, psi: Jet, x: Jet, y: Jet, t: Jet) -> dict[str, Any]:
        transport = w.t + psi.y * w.x - psi.x * w.y - self.viscosity * (w.xx + w.yy)
        force = 0.0 if self.forcing is None else self.forcing(x.value, y.value)
        return {"vorticity": transport - force, "psi": psi.xx + psi.yy + w}

    def conditions(self) -> list[Condition]:
        return [Initial(w=self.vorticity), Periodic("x"), Periodic("y")]

    def eliminate(self, w: Tensor) -> dict[str, Tensor]:
        """psi from w on a grid (..., x, y, t), the last point of a period left out: the equation "psi" then holds."""
        grid = FourierGrid((0.0, 0.0), (self.length,) * 2, (w.shape[-3], w.shape[-2]))
        solve = -grid.inverse_laplacian(dtype=w.dtype, device=w.device)
        return {"psi": grid.inverse(solve * grid.forward(w.movedim(-1, 0))).movedim(0, -1)}

    def derived(self, w: Jet, psi: Jet, x: Jet, y: Jet, t: Jet) -> dict[str, Jet]:
        """The velocity."""
        return {"u": psi.y, "v": -psi.x}

    def reference(self) -> xr.Dataset:
        """w, psi, u and v on 65 x 65 points, both ends of a period included, at 65 times: see ``flow``."""
        import xarray as xr

        n, t = 64, torch.linspace(0, self.duration, 65, dtype=torch.float64)
        grid = FourierGrid((0.0, 0.0), (self.length,) * 2, (2 * n, 2 * n))
        w = grid.forward(self.flow(2 * n, t))
        psi = -grid.inverse_laplacian() * w
        spectra = {"w": w, "psi": psi, "u": grid.derivative(0, 1) * psi, "v": -grid.derivative(1, 0) * psi}
        axis = torch.linspace(0, self.length, n + 1, dtype=torch.float64)
        fields = {name: grid.evaluate(spectrum, axis, axis) for name, spectrum in spectra.items()}
        return xr.Dataset(
            {name: (("t", "x", "y"), field.numpy()) for name, field in fields.items()},
            coords={"x": axis.numpy(), "y": axis.numpy(), "t": t.numpy()},
        ).transpose("x", "y", "t")

    def flow(self, n: int, times: Tensor) -> Tensor:
        """w on n x n points, the last of a period left out, at increasing ``times`` (T,): (T, n, n), float64.

        Fourier pseudo-spectral with ETDRK4. At the defaults 128 points a side are good to 3e-5 in relative L2, 64 to 6e-3.
        """
        points = FourierGrid((0.0, 0.0), (self.length,) * 2, (n, n)).points(device=times.device)
        flat = [axis.reshape(-1) for axis in points]
        forcing = None if self.forcing is None else self.forcing(*flat).reshape(n, n)
        start = self.vorticity(*flat).reshape(n, n)
        return vorticity_flow(start, self.viscosity, times, length=self.length, forcing=forcing)
