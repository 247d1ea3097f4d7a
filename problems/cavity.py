"""The lid-driven cavity."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import torch

from sciml.errors import InputError
from sciml.geometry import Rectangle
from sciml.jets import Jet
from sciml.problem import Condition, Dirichlet, Neumann, Problem
from sciml.reference import cavity_flow

if TYPE_CHECKING:
    import xarray as xr

_WALLS = ("left", "right", "bottom")
_GREATEST = 5000.0


@dataclass(frozen=True)
class Cavity(Problem):
    """The steady Navier-Stokes equations on [0, 1]^2: (u, v) = (1, 0) on the lid y = 1, no slip on the walls.

    In the form "stream_function" the unknowns are psi and p, with u = psi_y and v = -psi_x, free of divergence; psi = 0
    on the boundary stands for the velocity normal to it. In the form "velocity_pressure" they are u, v and p. In either
    form the velocities are compared, and their length, "speed".

    The lid's velocity jumps at its ends: random points do not meet them, a grid should leave them out. There the
    pressure grows as 1 / (re r), which is not square integrable, so that no relative L2 of p exists. The pressure is
    determined up to a constant.

    Args:
        re: Reynolds number, up to 5000.
        form: the unknowns.

    Source: Ghia, Ghia & Shin, J. Comput. Phys. 48 (1982), good to 0.01; the two forms of Wang, Teng & Perdikaris, SIAM
    J. Sci. Comput. 43 (2021), 2001.04536. The velocity that comes with the latter has an error of about 7 %, above the
    best error reported for it, 3.4 %.

    Raises:
        InputError: ``re`` out of range, or another form.
    """

    re: float = 100.0
    form: Literal["stream_function", "velocity_pressure"] = "stream_function"

    coordinates = ("x", "y")
    domain = Rectangle(("x", "y"), (0, 0), (1, 1))
    gauge = ("p",)

    def __post_init__(self) -> None:
        if not 0 < self.re <= _GREATEST:
            raise InputError(f"re={self.re} must be positive and at most {_GREATEST:.0f}, as far as the reference goes")
        if self.form not in ("stream_function", "velocity_pressure"):
            raise InputError(f"form={self.form!r} must be 'stream_function' or 'velocity_pressure'")

    @property
    def unknowns(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("psi", "p") if self.form == "stream_function" else ("u", "v", "p")

    def equations(self, *arguments: Any) -> dict[str, Jet]:
        u, v, p = self._flow(*arguments)
        momentum = {
            "momentum_x": u * u.x + v * u.y + p.x - (u.xx + u.yy) / self.re,
            "momentum_y": u * v.x + v * v.y + p.y - (v.xx + v.yy) / self.re,
        }
        return momentum if self.form == "stream_function" else momentum | {"continuity": u.x + v.y}

    def conditions(self) -> list[Condition]:
        if self.form == "stream_function":
            return [Dirichlet(psi=0.0), Neumann(psi=0.0, on=_WALLS), Neumann(psi=1.0, on="top")]
        return [Dirichlet(u=0.0, v=0.0, on=_WALLS), Dirichlet(u=1.0, v=0.0, on="top")]

    def derived(self, *arguments: Any) -> dict[str, Jet]:
        """The velocity where it is no unknown, and the speed."""
        u, v, _ = self._flow(*arguments)
        speed: Any = torch.sqrt(u * u + v * v)
        return {"u": u, "v": v, "speed": speed} if self.form == "stream_function" else {"speed": speed}

    def reference(self) -> xr.Dataset:
        """psi, u, v and speed on 129 x 129 points, as Ghia's; NaN where the lid's velocity jumps.

        Of spectral accuracy: a relative L2 error of u and v below 1e-7 at re = 100 and 1e-6 up to 5000.
        """
        return _reference(float(self.re)).copy(deep=True)

    def _flow(self, *arguments: Any) -> tuple[Any, Any, Any]:
        if self.form == "stream_function":
            psi, p, _, _ = arguments
            return psi.y, -psi.x, p
        u, v, p, _, _ = arguments
        return u, v, p


@lru_cache(maxsize=8)
def _reference(re: float) -> xr.Dataset:
    import numpy as np
    import xarray as xr

    axis = np.linspace(0, 1, 129)
    flow = cavity_flow(re)(axis, axis)
    u, v = flow.psi_y, -flow.psi_x
    fields = {"psi": flow.psi, "u": u, "v": v, "speed": np.hypot(u, v)}
    for name in ("u", "v", "speed"):
        fields[name][[0, -1], -1] = np.nan
    return xr.Dataset({name: (("x", "y"), field) for name, field in fields.items()}, coords={"x": axis, "y": axis})
