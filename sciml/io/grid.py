"""Regular grids over a domain, as labelled arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from sciml.errors import InputError, nearest

if TYPE_CHECKING:
    import xarray as xr

    from sciml.geometry import Domain

# Points along each axis by dimension, so that a grid stays below about 300,000 points.
DENSITY = {1: 1024, 2: 256, 3: 64, 4: 23, 5: 12}


def axes_of(domain: Domain, n: int | Mapping[str, int] | None = None) -> dict[str, np.ndarray]:
    """Equally spaced axes over the bounding box of ``domain``, ends included.

    Args:
        n: points along every axis, or by coordinate name; None chooses by the dimension.

    Raises:
        InputError: fewer than two points along an axis, or a name that is not a coordinate.
    """
    default = DENSITY.get(domain.dimension, 6)
    counts = dict.fromkeys(domain.names, default if n is None or isinstance(n, Mapping) else n)
    for name, count in n.items() if isinstance(n, Mapping) else ():
        if name not in counts:
            raise InputError(f"n names {name!r}, which is not a coordinate; {nearest(name, counts)}")
        counts[name] = count
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < 2:
            raise InputError(f"n must be a whole number of at least 2 points along {name}, got {count!r}")
    low, high = (bound.tolist() for bound in domain.bounds)
    return {name: np.linspace(low[i], high[i], counts[name]) for i, name in enumerate(domain.names)}


def grid_points(axes: Mapping[str, np.ndarray]) -> Tensor:
    """All points of a grid, float64 (N, d), the last axis running fastest."""
    mesh = torch.meshgrid(*(torch.tensor(axis) for axis in axes.values()), indexing="ij")
    return torch.stack([values.reshape(-1) for values in mesh], dim=-1)


def to_dataset(axes: Mapping[str, np.ndarray], fields: Mapping[str, Any], attributes: Mapping[str, Any]) -> xr.Dataset:
    """Label ``fields``, each (N,) in the order of ``grid_points``, with their axes."""
    import xarray as xr

    shape = tuple(len(axis) for axis in axes.values())
    names = tuple(axes)
    return xr.Dataset(
        {name: (names, np.asarray(values).reshape(shape)) for name, values in fields.items()},
        coords=dict(axes),
        attrs=dict(attributes),
    )


def dataset_points(dataset: xr.Dataset, coordinates: Sequence[str]) -> tuple[Tensor, tuple[str, ...], tuple[int, ...]]:
    """Where the values of ``dataset`` lie: points (N, d) in the order of ``coordinates``, and the dimensions they fill.

    A grid has one dimension a coordinate; scattered points have one dimension that all coordinates share.

    Raises:
        InputError: a coordinate is missing.
    """
    import xarray as xr

    missing = [name for name in coordinates if name not in dataset.variables]
    if missing:
        given = [str(name) for name in dataset.coords]
        raise InputError(f"the data has no coordinate {missing[0]!r}; {nearest(missing[0], given)}")
    columns = xr.broadcast(*(dataset[name] for name in coordinates))
    points = torch.stack([torch.from_numpy(np.array(c.values, dtype=np.float64).reshape(-1)) for c in columns], -1)
    return points, tuple(map(str, columns[0].dims)), columns[0].shape


def cell_sizes(dataset: xr.Dataset, dimensions: Sequence[str]) -> np.ndarray:
    """Quadrature weight (N,) of every point of ``dataset``, mean 1: equal on a uniform grid or at scattered points."""
    weights = np.ones(())
    for name in dimensions:
        size = dataset.sizes[name]
        axis = dataset[name].values if name in dataset.coords and size > 1 else np.arange(size)
        widths = np.abs(np.gradient(axis.astype(np.float64))) if size > 1 else np.ones(1)
        weights = np.multiply.outer(weights, widths)
    return (weights / weights.mean()).reshape(-1)


def save_dataset(dataset: xr.Dataset, path: Any) -> None:
    """Write NetCDF-4, compressed."""
    encoding = {name: {"zlib": True, "complevel": 4} for name in dataset.data_vars}
    dataset.to_netcdf(path, engine="h5netcdf", encoding=encoding)
