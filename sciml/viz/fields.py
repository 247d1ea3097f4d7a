"""Fields on a grid: lines, maps and slices, beside the reference and the error where one is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sciml.viz.figure import COMPUTED, ERROR, FIELD, REFERENCE, limits, new_figure, symmetric

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SLICES = 4
FLATTEST, TALLEST = 0.3, 2.0  # height over width of a map that is drawn to scale


class Pair(NamedTuple):
    name: str
    field: xr.DataArray
    reference: xr.DataArray | None

    @property
    def error(self) -> xr.DataArray:
        assert self.reference is not None
        return self.field - self.reference

    @property
    def bounds(self) -> tuple[float, float]:
        """Limits of the colours, the same for the field and its reference."""
        return limits((self.field if self.reference is None else self.reference).values)


def plot_fields(computed: xr.Dataset, reference: xr.Dataset | None = None, time: str | None = None) -> Figure:
    """Draw every variable of ``computed``.

    One dimension gives lines, two give maps (with profiles when one is time), three give slices along time or the last
    dimension; of more dimensions, the middle of the surplus ones is shown.

    Args:
        computed: fields on a grid; every variable has the same dimensions.
        reference: exact or reference fields on the same grid; adds them, and the error, for every variable it has.
        time: name of the time dimension, if there is one.
    """
    dimensions = [str(name) for name in next(iter(computed.data_vars.values())).dims]
    for surplus in [name for name in dimensions if name != time][3 if time is None else 2 :]:
        middle = {surplus: computed.sizes[surplus] // 2}
        computed, reference = computed.isel(middle), None if reference is None else reference.isel(middle)
        dimensions.remove(surplus)
    known = {} if reference is None else reference.data_vars
    pairs = [Pair(str(name), field, known.get(name)) for name, field in computed.data_vars.items()]
    if len(dimensions) == 1:
        return _lines(pairs)
    if len(dimensions) == 3:
        return _slices(pairs, time or dimensions[-1])
    return _maps(pairs) if time is None else _profiles(pairs, time)


def _lines(pairs: list[Pair]) -> Figure:
    figure, axes = new_figure(len(pairs), 2 if _compared(pairs) else 1, panel=(5.2, 3.2))
    for row, pair in zip(axes, pairs, strict=True):
        x = str(pair.field.dims[0])
        row[0].plot(pair.field[x], pair.field, color=COMPUTED, lw=2, label="computed")
        row[0].set(xlabel=x, ylabel=pair.name)
        if pair.reference is None:
            _blank(row[1:])
            continue
        row[0].plot(pair.field[x], pair.reference, "--", color=REFERENCE, lw=1.2, label="reference")
        row[0].legend(frameon=False)
        row[1].plot(pair.field[x], pair.error, color="tab:red", lw=1.2)
        row[1].set(xlabel=x, ylabel=f"error of {pair.name}")
        row[1].ticklabel_format(axis="y", scilimits=(-2, 3))
    return figure


def _maps(pairs: list[Pair]) -> Figure:
    panel, to_scale = _panel(pairs[0].field, 4.2, share=0.72)
    figure, axes = new_figure(len(pairs), 3 if _compared(pairs) else 1, panel)
    for row, pair in zip(axes, pairs, strict=True):
        _map_row(row, pair, contours=True)
        for axis in row:
            axis.set_aspect("equal" if to_scale else "auto")
    return figure


def _profiles(pairs: list[Pair], time: str) -> Figure:
    figure, axes = new_figure(len(pairs), 4 if _compared(pairs) else 2)
    for row, pair in zip(axes, pairs, strict=True):
        x = next(str(name) for name in pair.field.dims if name != time)
        # time runs to the right
        turned = pair._replace(field=pair.field.transpose(time, x))
        if pair.reference is not None:
            turned = turned._replace(reference=pair.reference.transpose(time, x))
        _map_row(row[:-1], turned, contours=False)
        for index, colour in zip(_indices(turned.field.sizes[time]), _shades(), strict=True):
            profile = turned.field.isel({time: index})
            row[-1].plot(profile[x], profile, color=colour, lw=2, label=f"{time} = {float(profile[time]):.3g}")
            if turned.reference is not None:
                row[-1].plot(profile[x], turned.reference.isel({time: index}), "--", color=REFERENCE, lw=1)
        title = "profiles" if pair.reference is None else "profiles (reference dashed)"
        row[-1].set(xlabel=x, ylabel=pair.name, title=title)
        row[-1].legend(frameon=False, fontsize="small")
    return figure


def _slices(pairs: list[Pair], along: str) -> Figure:
    rows = []
    for pair in pairs:
        rows.append((pair.name, pair.field, FIELD, pair.bounds))
        if pair.reference is not None:
            rows.append((f"error of {pair.name}", pair.error, ERROR, symmetric(pair.error.values)))
    panel, to_scale = _panel(pairs[0].field.isel({along: 0}), 3.0, share=0.85)
    figure, axes = new_figure(len(rows), SLICES, panel)
    for row, (name, field, colours, bounds) in zip(axes, rows, strict=True):
        for axis, index in zip(row, _indices(field.sizes[along]), strict=True):
            part = field.isel({along: index})
            mesh = _map(axis, part, f"{name}, {along} = {float(part[along]):.3g}", colours, bounds)
            axis.set_aspect("equal" if to_scale else "auto")
            axis.label_outer()
        _bar(mesh, list(row))
    return figure


def _map_row(row: Any, pair: Pair, contours: bool) -> None:
    _bar(_map(row[0], pair.field, pair.name, FIELD, pair.bounds, contours), row[0])
    if pair.reference is None:
        _blank(row[1:])
        return
    _bar(_map(row[1], pair.reference, f"{pair.name}, reference", FIELD, pair.bounds, contours), row[1])
    _bar(_map(row[2], pair.error, f"error of {pair.name}", ERROR, symmetric(pair.error.values)), row[2])


def _map(axes: Axes, field: xr.DataArray, title: str, colours: str, bounds: Any, contours: bool = False) -> Any:
    x, y = (str(name) for name in field.dims)
    values = np.ma.masked_invalid(field.values.T)
    low, high = bounds
    mesh = axes.pcolormesh(field[x], field[y], values, cmap=colours, vmin=low, vmax=high, shading="nearest")
    mesh.set_rasterized(True)
    if contours:
        levels = np.linspace(low, high, 10)[1:-1]
        axes.contour(field[x], field[y], values, levels=levels, colors="white", linewidths=0.5, alpha=0.6)
    axes.set(xlabel=x, ylabel=y, title=title)
    return mesh


def _bar(mesh: Any, panels: Any) -> None:
    bar = mesh.figure.colorbar(mesh, ax=panels, pad=0.02)
    bar.formatter.set_powerlimits((-2, 3))


def _panel(field: xr.DataArray, width: float, share: float) -> tuple[tuple[float, float], bool]:
    """Size in inches of a panel that leaves ``share`` of its width to a map, and whether the map can be to scale."""
    extents = [float(np.ptp(field[name].values)) for name in field.dims]
    ratio = extents[1] / extents[0]
    to_scale = FLATTEST <= ratio <= TALLEST
    return (width, share * width * (ratio if to_scale else 0.8) + 0.6), to_scale


def _compared(pairs: list[Pair]) -> bool:
    return any(pair.reference is not None for pair in pairs)


def _blank(panels: Any) -> None:
    for panel in panels:
        panel.set_axis_off()


def _indices(size: int) -> list[int]:
    return [round(i) for i in np.linspace(0, size - 1, SLICES)]


def _shades() -> list[Any]:
    from matplotlib import colormaps

    return [colormaps[FIELD](share) for share in np.linspace(0, 0.85, SLICES)]
