from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
import xarray as xr

import sciml
from sciml.errors import InputError
from sciml.geometry import Rectangle
from sciml.problem import Parameter, Problem
from sciml.solution import CHUNK, Solution
from tests.fakes import Formula, Plate, Rod

pytestmark = pytest.mark.usefixtures("blank_pictures")


@pytest.fixture
def solution():
    return Solution(Plate(), Formula(Plate(), scale=1.01))


def test_a_tensor_gives_tensors_of_its_type(solution):
    points = torch.tensor([[0.1, 0.2], [0.9, 1.0]], dtype=torch.float32)
    values = solution(points)["u"]
    assert values.dtype == torch.float32 and values.shape == (2,) and not values.requires_grad
    torch.testing.assert_close(values, 1.01 * Plate().exact(*points.unbind(-1))["u"])


def test_an_array_gives_arrays(solution):
    values = solution(np.array([[0, 0], [1, 1]]))["u"]
    assert isinstance(values, np.ndarray) and values.dtype == np.float64
    assert solution(np.zeros((1, 2), dtype=np.float32))["u"].dtype == np.float32


def test_more_points_than_a_chunk(solution):
    points = torch.rand(CHUNK + 3, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    points[:, 1] *= 0.25
    torch.testing.assert_close(solution(points)["u"], 1.01 * Plate().exact(*points.unbind(-1))["u"])


@pytest.mark.parametrize("points", [torch.zeros(3), torch.zeros(2, 3), torch.zeros(2, 2, 2)])
def test_a_wrong_shape_names_the_coordinates(solution, points):
    with pytest.raises(InputError, match=r"columns x, y"):
        solution(points)


@pytest.mark.parametrize("point", [[0.5, 0.5], [1.1, 0.5], [math.nan, 0.5]])
def test_points_outside_the_domain_are_refused(solution, point):
    with pytest.raises(InputError, match=r"1 of 2 points lie outside the domain, the first at x="):
        solution(torch.tensor([[0.1, 0.1], point]))


def test_relative_l2_against_the_exact_solution(solution):
    assert solution.relative_l2 == {"u": pytest.approx(0.01, rel=1e-12)}


def test_a_solution_that_is_not_a_number_is_not_called_accurate():
    assert math.isnan(Solution(Plate(), Formula(Plate(), scale=math.nan)).relative_l2["u"])


def test_a_field_up_to_a_constant_is_compared_without_its_mean():
    class Pressure(Plate):
        gauge = ("u",)

    problem = Pressure()
    assert Solution(problem, Formula(problem, shift=3.0)).relative_l2["u"] < 1e-12
    assert Solution(problem, Formula(problem, scale=1.1, shift=3.0)).relative_l2["u"] == pytest.approx(0.1)
    assert Solution(Plate(), Formula(Plate(), shift=3.0)).relative_l2["u"] > 1


def test_a_gauge_may_drift_in_time():
    class Drifting(Rod):
        gauge = ("u",)

    class Drift(Formula):
        def fields(self, points):
            return {"u": super().fields(points)["u"] + 5 * points[:, 1]}

    solution = Solution(Drifting(), Drift(Drifting()))
    assert solution.relative_l2["u"] < 1e-12
    computed, exact = solution._pair(n=9)
    xr.testing.assert_allclose(computed, exact)


class Tabulated(Problem):
    """Known on a grid only, in another order of dimensions, with a gap."""

    coordinates, unknowns = ("x", "y"), ("u", "v")
    domain = Rectangle(("x", "y"), (0, 0), (1, 1))

    def equations(self, u, v, x, y):
        return {"poisson": u.xx, "other": v.xx}

    def reference(self):
        x, y = np.linspace(0, 1, 9) ** 2, np.linspace(0, 1, 5)
        u = 1 + x[None, :] + 2 * y[:, None]
        u[0, 0] = np.nan
        return xr.Dataset({"u": (("y", "x"), u)}, coords={"x": x, "y": y})


class Plane:
    name = "plane"

    def __init__(self, bump=0.0):
        self.bump = bump

    def fields(self, points):
        x, y = points.unbind(-1)
        return {"u": 1 + x + 2 * y + self.bump * (x < 0.1), "v": x}


def test_relative_l2_against_a_reference_at_its_own_points():
    assert Solution(Tabulated(), Plane()).relative_l2 == {"u": pytest.approx(0, abs=1e-15)}


def test_crowded_points_of_a_reference_do_not_count_more():
    # 3 of 9 points, but only about a tenth of the interval, are wrong by 1 out of 2.6
    assert 0.1 < Solution(Tabulated(), Plane(bump=1.0)).relative_l2["u"] < 0.15


def test_nothing_to_compare_with():
    class Unknown(Tabulated):
        reference = None

    assert Solution(Unknown(), Plane()).relative_l2 is None


def test_what_a_solver_may_leave_out(solution):
    assert solution.error_estimate is None
    assert solution.parameters == {}
    solution = Solution(Plate(), Formula(Plate()))
    solution.solver.error_estimate = lambda: {"u": torch.tensor(1e-3)}
    solution.solver.coefficients = lambda: {"nu": torch.tensor(0.25)}
    assert solution.error_estimate == {"u": pytest.approx(1e-3)}
    assert solution.parameters == {"nu": 0.25}


def test_to_xarray_is_blank_outside_the_domain(solution):
    dataset = solution.to_xarray(n={"x": 11, "y": 21})
    assert dict(dataset.sizes) == {"x": 11, "y": 21}
    assert math.isnan(dataset.u.sel(x=0.5, y=0.5))
    assert float(dataset.u.sel(x=0.1, y=0.2, method="nearest")) == pytest.approx(
        1.01 * (math.sin(0.1 * math.pi) * math.cosh(0.2) + 1)
    )
    assert solution.to_xarray().sizes["x"] == 256


def test_the_exact_solution_on_a_grid(solution):
    computed = solution.to_xarray(n=11)
    exact = solution.exact_on(computed)
    xr.testing.assert_allclose(1.01 * exact, computed)
    assert exact.x.equals(computed.x) and exact.y.equals(computed.y)


@pytest.mark.parametrize(("n", "message"), [({"z": 3}, "'z'"), (1, "at least 2"), ({"x": 2.5}, "at least 2")])
def test_to_xarray_refuses(solution, n, message):
    with pytest.raises(InputError, match=message):
        solution.to_xarray(n=n)


def test_save_and_load(tmp_path, solution, plugin):
    solution.save(tmp_path / "kept")
    assert {p.name for p in (tmp_path / "kept").iterdir()} == {
        "config.toml", "solution.nc", "solution.png", "weights.safetensors",
    }  # fmt: skip
    loaded = sciml.load(tmp_path / "kept")
    assert loaded.problem == solution.problem
    points = torch.tensor([[0.1, 0.2]])
    assert torch.equal(loaded(points)["u"], solution(points)["u"])
    with xr.open_dataset(tmp_path / "kept" / "solution.nc", engine="h5netcdf") as dataset:
        assert dataset.u.dims == ("x", "y")


def test_load_takes_the_type_of_the_weights(tmp_path, solution, plugin):
    solution.solver.to(torch.float32)
    solution.save(tmp_path)
    assert sciml.load(tmp_path).solver.scale.dtype == torch.float32


def test_an_unknown_coefficient_is_kept(tmp_path, plugin):
    problem = Plate(conductivity=Parameter(2.0, positive=True))
    Solution(problem, Formula(problem)).save(tmp_path)
    assert sciml.load(tmp_path).problem == problem


def test_load_asks_for_a_problem_that_cannot_be_described(tmp_path, plugin):
    @dataclass(frozen=True)
    class Local(Plate):
        pass

    Solution(Local(), Formula(Local())).save(tmp_path)
    with pytest.raises(InputError, match="problem="):
        sciml.load(tmp_path)
    assert sciml.load(tmp_path, problem=Local()).relative_l2["u"] == 0


def test_load_refuses_a_folder_without_a_solution(tmp_path):
    with pytest.raises(InputError, match="no file"):
        sciml.load(tmp_path)


def test_load_refuses_the_weights_of_another_network(tmp_path, solution, plugin):
    from safetensors.torch import save_file

    solution.save(tmp_path)
    save_file({"other": torch.zeros(1)}, tmp_path / "weights.safetensors")
    with pytest.raises(InputError, match="another network"):
        sciml.load(tmp_path)


def test_solve_returns_a_solution_and_writes_nothing_unasked(tmp_path, monkeypatch, plugin):
    monkeypatch.chdir(tmp_path)
    solution = sciml.solve(Rod(), solver="formula", steps=1, scale=1.5)
    assert solution.relative_l2["u"] == pytest.approx(0.5)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"solver": "formul"}, "did you mean 'formula'"),
        ({"scal": 1.0}, "did you mean 'scale'"),
        ({"seconds": 0}, "seconds must be"),
        ({"seconds": math.inf}, "seconds must be"),
        ({"steps": 2.5}, "steps must be"),
        ({"seed": -1}, "seed must be"),
        ({"device": "gpu"}, "device 'gpu'"),
        ({"problem": Plate}, "instance"),
    ],
)
def test_solve_refuses(arguments, message, plugin):
    with pytest.raises(InputError, match=message):
        sciml.solve(**({"problem": Plate(), "solver": "formula"} | arguments))


def test_settings_survive_a_run(tmp_path, plugin):
    problem = replace(Plate(), amplitude=2.0, waves=3, centre=(0.4, 0.5), kind="hard", rough=True)
    sciml.solve(problem, solver="formula", folder=tmp_path / "run", scale=1.5)
    assert sciml.load(tmp_path / "run").problem == problem


def test_a_reference_is_drawn_on_its_own_grid(monkeypatch):
    drawn = {}
    monkeypatch.setattr("sciml.viz.plot_fields", lambda *pair, **options: drawn.update(pair=pair, **options))
    Solution(Tabulated(), Plane()).plot()
    computed, reference = drawn["pair"]
    assert computed.u.shape == reference.u.shape == (9, 5) and drawn["time"] is None
    xr.testing.assert_allclose(computed.u.where(reference.u.notnull()), reference.u)
