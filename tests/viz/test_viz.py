from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from sciml.viz import plot_comparison, plot_convergence, plot_fields, to_png


def fields(**sizes):
    axes = {name: np.linspace(0, 1, size) for name, size in sizes.items()}
    values = sum(np.meshgrid(*axes.values(), indexing="ij"))
    dataset = xr.Dataset({"u": (tuple(axes), values)}, coords=axes)
    dataset["p"] = 2 * dataset.u
    return dataset


def labels(figure):
    return [axes.get_title() or axes.get_ylabel() for axes in figure.axes]


@pytest.mark.parametrize(
    ("sizes", "time", "alone", "compared"),
    [
        ({"x": 9}, None, 2, 4),
        ({"x": 9, "y": 7}, None, 2, 6),
        ({"x": 9, "t": 7}, "t", 4, 8),
        ({"x": 9, "y": 8, "t": 7}, "t", 8, 16),
        ({"x": 9, "y": 8, "z": 7}, None, 8, 16),
        ({"x": 6, "y": 5, "z": 4, "t": 7}, "t", 8, 16),
    ],
)
def test_every_dimension_has_a_picture(sizes, time, alone, compared):
    dataset = fields(**sizes)
    for reference, panels in ((None, alone), (dataset, compared)):
        figure = plot_fields(dataset, reference, time=time)
        assert to_png(figure).startswith(b"\x89PNG")
        assert len([axes for axes in figure.axes if axes.get_label() != "<colorbar>"]) == panels


def test_the_error_is_computed_minus_reference():
    computed = fields(x=9, y=7)
    figure = plot_fields(computed, computed - 0.25)
    error = next(axes for axes in figure.axes if axes.get_title() == "error of u")
    assert np.allclose(error.collections[0].get_array(), 0.25)
    assert error.collections[0].get_clim() == (-0.25, 0.25)


def test_a_field_without_a_reference_leaves_its_place_empty():
    computed = fields(x=9, y=7)
    figure = plot_fields(computed, computed[["p"]])
    assert "error of p" in labels(figure) and "error of u" not in labels(figure)


def test_time_runs_to_the_right():
    axes = plot_fields(fields(x=9, t=7), time="t").axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("t", "x")


def test_points_outside_the_domain_stay_blank():
    computed = fields(x=9, y=7)
    computed["u"] = computed.u.where(computed.x > 0.5)
    image = plot_fields(computed[["u"]]).axes[0].collections[0].get_array()
    assert image.mask.sum() == 5 * 7


def test_a_constant_or_unknown_field_is_drawn():
    computed = fields(x=9, y=7)
    to_png(plot_fields(computed * 0, computed * 0))
    to_png(plot_fields(computed * np.nan))


def test_convergence_separates_losses_from_errors():
    history = {"step": [1, 2, 3], "loss": [1, 0.1, 0.0], "loss/heat": [1, np.nan, 0.1], "error/u": [1, 0.5, 0.1]}
    losses, errors = plot_convergence(history).axes
    assert [line.get_label() for line in losses.lines] == ["loss", "loss/heat"]
    assert [line.get_label() for line in errors.lines] == ["error/u"]
    assert losses.get_yscale() == "log"
    assert list(losses.lines[0].get_xdata()) == [1, 2]  # zero has no place on a logarithmic axis


def test_convergence_of_nothing():
    assert to_png(plot_convergence({})).startswith(b"\x89PNG")


def test_no_global_state_of_matplotlib(monkeypatch):
    import sys

    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)
    plot_fields(fields(x=9, y=7))
    assert "matplotlib.pyplot" not in sys.modules


def test_a_comparison_has_a_bar_at_the_median_and_a_dot_a_run():
    (panel,) = plot_comparison({"a": [1e-3, 1e-1, 1e-2], "b": [None]}).axes
    assert [bar.get_height() for bar in panel.patches] == [1e-2]
    assert sorted(panel.lines[0].get_ydata()) == [1e-3, 1e-2, 1e-1]
    assert [label.get_text() for label in panel.get_xticklabels()] == ["a", "b"]
    assert panel.get_yscale() == "log" and [text.get_text() for text in panel.texts] == ["none"]
