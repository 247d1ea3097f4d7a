"""Fields in motion: the true one, the computed one and the error beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sciml.errors import InputError
from sciml.viz.figure import COMPUTED, ERROR, FIELD, REFERENCE, limits, new_figure, symmetric

if TYPE_CHECKING:
    import xarray as xr

SUFFIXES = (".gif", ".html")
ROWS = 3  # fields that are drawn at most
PER_SECOND = 8
RESOLUTION = 80  # dots per inch


def animate_fields(
    computed: xr.Dataset, reference: xr.Dataset | None, time: str, path: str | Path, per_second: int = PER_SECOND
) -> None:
    """Write a GIF, or a page with buttons (HTML), that runs through ``time``; fields are lines or maps.

    Args:
        computed: fields over ``time`` and one or two further dimensions; the first three are drawn.
        reference: the true fields on the same grid; adds them and the error.

    Raises:
        InputError: another suffix, or fields in more dimensions.
    """
    from matplotlib.animation import FuncAnimation, HTMLWriter, PillowWriter

    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise InputError(f"an animation is written as {' or '.join(SUFFIXES)}, not {path.name!r}")
    names = list(computed.data_vars)[:ROWS]
    dimensions = [d for d in computed[names[0]].dims if d != time]
    if len(dimensions) > 2:
        raise InputError(f"an animation shows one or two dimensions, but the fields have {', '.join(map(str, dimensions))}")
    draw = _Lines if len(dimensions) == 1 else _Maps
    columns = (1 if reference is None else 2) if draw is _Lines else 1 if reference is None else 3
    figure, axes = new_figure(len(names), columns, panel=(3.4, 2.6 if draw is _Lines else 3.0))
    figure.set_dpi(RESOLUTION)
    rows = [
        draw(row, computed[name].transpose(time, ...), None if reference is None else reference[name].transpose(time, ...))
        for row, name in zip(axes, names, strict=True)
    ]
    instants = computed[time].values

    def show(number: int) -> list[Any]:
        figure.suptitle(f"{time} = {float(instants[number]):.3g}")
        for row in rows:
            row.show(number)
        return []

    animation = FuncAnimation(figure, show, frames=len(instants), init_func=list)
    writer = PillowWriter(per_second) if path.suffix == ".gif" else HTMLWriter(per_second, embed_frames=True)
    animation.save(path, writer=writer, dpi=RESOLUTION)


class _Lines:
    def __init__(self, panels: Any, field: xr.DataArray, reference: xr.DataArray | None) -> None:
        x = field[field.dims[1]]
        curves = [(panels[0], field.values, {"color": COMPUTED, "lw": 2, "label": "computed"})]
        panels[0].set(ylim=limits((field if reference is None else reference).values), xlabel=x.name, ylabel=field.name)
        if reference is not None:
            curves.append((panels[0], reference.values, {"color": REFERENCE, "lw": 1.2, "ls": "--", "label": "true"}))
            error = (field - reference).values
            curves.append((panels[1], error, {"color": "tab:red", "lw": 1.2}))
            panels[1].set(ylim=symmetric(error), xlabel=x.name, ylabel=f"error of {field.name}")
        self.curves = [(panel.plot(x.values, values[0], **style)[0], values) for panel, values, style in curves]
        if reference is not None:
            panels[0].legend(frameon=False, loc="upper right")

    def show(self, number: int) -> None:
        for line, values in self.curves:
            line.set_ydata(values[number])


class _Maps:
    def __init__(self, panels: Any, field: xr.DataArray, reference: xr.DataArray | None) -> None:
        bounds = limits((field if reference is None else reference).values)
        shown = [(str(field.name), field.values, FIELD, bounds)]
        if reference is not None:
            error = (field - reference).values
            shown.insert(0, (f"{field.name}, true", reference.values, FIELD, bounds))
            shown.append((f"error of {field.name}", error, ERROR, symmetric(error)))
        x, y = (field[name].values for name in field.dims[1:])
        extent = (float(x[0]), float(x[-1]), float(y[0]), float(y[-1]))
        self.images = []
        for panel, (title, values, colours, (low, high)) in zip(panels, shown, strict=True):
            image = panel.imshow(values[0].T, origin="lower", extent=extent, cmap=colours, vmin=low, vmax=high)
            panel.set_title(title)
            panel.figure.colorbar(image, ax=panel, pad=0.02, shrink=0.8)
            self.images.append((image, values))

    def show(self, number: int) -> None:
        for image, values in self.images:
            image.set_data(values[number].T)
