"""Other people's layouts: files written here exactly as theirs, read as trajectories."""

from __future__ import annotations

import pickle

import h5py
import numpy as np
import pytest
import torch

from sciml.data import Trajectories, open_trajectories
from sciml.errors import InputError


def random(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def hdf5(path, **arrays):
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name.replace("__", "/").replace("_coordinate", "-coordinate")] = values
    return path


def check(data, expected):
    """All of ``expected`` (samples, times, channels, *grid), read whole and by scattered indices."""
    assert data.shape == expected.shape
    torch.testing.assert_close(data.read(), torch.from_numpy(np.ascontiguousarray(expected, dtype=np.float32)))
    rows, times = [1, 0, 1], [data.shape[1] - 1, 0]
    found = data.read(rows, times)
    torch.testing.assert_close(found, torch.from_numpy(expected.astype(np.float32)[rows][:, times]))
    copy = pickle.loads(pickle.dumps(data))
    torch.testing.assert_close(copy.read([1], [0]), found[:1, 1:])


# PDEBench -------------------------------------------------------------------------------------------------------------


def test_pdebench_scalar(tmp_path):
    u = random(3, 5, 8)
    path = hdf5(tmp_path / "1D_Burgers_Sols_Nu0.01.hdf5", tensor=u, x_coordinate=(np.arange(8) + 0.5) / 8)
    with h5py.File(path, "r+") as file:
        file["t-coordinate"] = np.linspace(0, 2, 6, dtype=np.float32)  # the end of the last step, too
        file.attrs["Nu"] = 0.01
    data = open_trajectories(path)
    check(data, u[:, :, None])
    assert data.channels == ("u",) and data.periodic == (True,) and data.settings == {"Nu": pytest.approx(0.01)}
    np.testing.assert_allclose(data.times, [0, 0.4, 0.8, 1.2, 1.6], rtol=1e-6)
    np.testing.assert_allclose(data.grid["x"], (np.arange(8) + 0.5) / 8)


def test_pdebench_darcy(tmp_path):
    u, a, axis = random(3, 1, 6, 7), random(3, 6, 7), np.arange(7) / 7
    path = hdf5(tmp_path / "2D_DarcyFlow_beta1.0_Train.hdf5", tensor=u, nu=a, x_coordinate=axis[:6], y_coordinate=axis)
    data = open_trajectories(path)
    check(data, u[:, :, None])
    assert data.input_channels == ("nu",) and data.periodic == (False, False) and data.times.tolist() == [0]
    torch.testing.assert_close(data.inputs([2, 0]), torch.from_numpy(a[[2, 0], None]))


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_pdebench_compressible_flow(tmp_path, dimensions):
    space = (4, 5, 6)[:dimensions]
    names = ["density", *["Vx", "Vy", "Vz"][:dimensions], "pressure"]
    arrays = {name: random(2, 3, *space) + i for i, name in enumerate(names)}
    axes = {f"{axis}_coordinate": np.arange(n) / n for axis, n in zip("xyz", space, strict=False)}
    path = hdf5(tmp_path / "CFD_M1.0_periodic_Train.hdf5", **arrays, **axes, t_coordinate=np.arange(4) * 0.05)
    data = open_trajectories(path)
    check(data, np.stack([arrays[name] for name in names], axis=2))
    assert data.channels == tuple(names) and data.groups == ("density", *["velocity"] * dimensions, "pressure")
    assert all(data.periodic) and list(data.grid) == list("xyz"[:dimensions])
    path.rename(tmp_path / "CFD_M1.0_trans_Train.hdf5")
    assert not any(Trajectories(tmp_path / "CFD_M1.0_trans_Train.hdf5").periodic)


def test_pdebench_a_group_a_sample(tmp_path):
    fields = random(3, 4, 5, 6, 2)
    with h5py.File(tmp_path / "2D_diff-react_NA_NA.h5", "w") as file:
        for number, values in enumerate(fields):
            group = file.create_group(f"{number:04d}")
            group["data"] = values
            group["grid/x"], group["grid/y"], group["grid/t"] = np.arange(5) / 5, np.arange(6) / 6, np.arange(4) * 0.5
            group.attrs["config"] = "sim: {}"
    data = open_trajectories(tmp_path / "2D_diff-react_NA_NA.h5")
    check(data, np.moveaxis(fields, -1, 2))
    assert data.channels == ("u0", "u1") and data.times.tolist() == [0, 0.5, 1, 1.5]


# The Well -------------------------------------------------------------------------------------------------------------


def well(path, samples=2, seed=0):
    t, x, y = np.linspace(0, 1, 3), np.arange(4) / 4, np.arange(5) / 5
    draw = np.random.default_rng(seed).standard_normal
    fields = {
        "t0_fields": {
            "density": (draw((samples, 3, 4, 5)), True, True, [True, True]),
            "depth": (draw((samples, 4)), True, False, [True, False]),
            "mask": (draw((4, 5)), False, False, [True, True]),
        },
        "t1_fields": {"velocity": (draw((samples, 3, 4, 5, 2)), True, True, [True, True])},
        "t2_fields": {"stress": (draw((samples, 3, 4, 5, 2, 2)), True, True, [True, True])},
    }
    with h5py.File(path, "w") as file:
        file.attrs["dataset_name"], file.attrs["grid_type"], file.attrs["n_spatial_dims"] = "swirl", "cartesian", 2
        file.attrs["n_trajectories"], file.attrs["simulation_parameters"], file.attrs["nu"] = samples, ["nu"], 0.5
        dimensions = file.create_group("dimensions")
        dimensions.attrs["spatial_dims"] = ["x", "y"]
        for name, values in {"time": t, "x": x, "y": y}.items():
            dimensions[name] = values.astype(np.float32)
            dimensions[name].attrs["sample_varying"] = False
        for name, kind, axis in (("x_periodic", "PERIODIC", "x"), ("y_wall", "WALL", "y")):
            condition = file.create_group(f"boundary_conditions/{name}")
            condition.attrs["associated_dims"], condition.attrs["bc_type"] = [axis], kind
            condition["mask"] = np.zeros(4, dtype=bool)
        scalars = file.create_group("scalars")
        scalars.attrs["field_names"] = ["nu", "angle"]
        scalars["nu"], scalars["angle"] = np.array([0.5]), np.arange(samples, dtype=np.float32)
        scalars["nu"].attrs["sample_varying"], scalars["nu"].attrs["time_varying"] = False, False
        scalars["angle"].attrs["sample_varying"], scalars["angle"].attrs["time_varying"] = True, False
        for order, group in fields.items():
            file.create_group(order).attrs["field_names"] = list(group)
            for name, (values, sample, in_time, dims) in group.items():
                stored = file[order].create_dataset(name, data=values.astype(np.float32))
                stored.attrs["sample_varying"], stored.attrs["time_varying"] = sample, in_time
                stored.attrs["dim_varying"] = dims
    whole = np.ones((samples, 3, 1, 4, 5))
    values = {name: entry[0] for group in fields.values() for name, entry in group.items()}
    return np.concatenate(
        [
            values["density"][:, :, None],
            whole * values["depth"][:, None, None, :, None],
            whole * values["mask"],
            np.moveaxis(values["velocity"], -1, 2),
            np.moveaxis(values["stress"].reshape(samples, 3, 4, 5, 4), -1, 2),
        ],
        axis=2,
    )


def test_the_well(tmp_path):
    expected = well(tmp_path / "swirl.hdf5")
    data = open_trajectories(tmp_path / "swirl.hdf5")
    check(data, expected)
    assert data.channels == (
        "density", "depth", "mask", "velocity_x", "velocity_y", "stress_xx", "stress_xy", "stress_yx", "stress_yy",
    )  # fmt: skip
    assert data.groups == ("density", "depth", "mask", *["velocity"] * 2, *["stress"] * 4)
    assert data.problem == "swirl" and data.settings == {"nu": 0.5} and data.periodic == (True, False)
    assert data.parameters["angle"].tolist() == [0, 1]


def test_the_well_is_a_folder(tmp_path):
    parts = [well(tmp_path / f"swirl_{i}.hdf5", seed=i) for i in range(2)]
    data = open_trajectories(tmp_path)
    check(data, np.concatenate(parts))
    assert data.parameters["angle"].tolist() == [0, 1, 0, 1]


# PDEgym ---------------------------------------------------------------------------------------------------------------


def test_pdegym_incompressible(tmp_path):
    values = random(2, 4, 3, 6, 6)
    data = open_trajectories(hdf5(tmp_path / "NS-PwC.nc", velocity=values))
    check(data, values)
    assert data.channels == ("u", "v", "tracer") and data.groups == ("velocity", "velocity", "tracer")
    assert data.periodic == (True, True) and data.problem == "NS-PwC"
    np.testing.assert_allclose(data.times, [0, 1 / 3, 2 / 3, 1])
    np.testing.assert_allclose(data.grid["x"], np.arange(6) / 6)


def test_pdegym_shear_layers_store_y_first_and_come_in_parts(tmp_path):
    folder = tmp_path / "NS-SL"
    folder.mkdir()
    values = random(2, 4, 2, 6, 6)
    hdf5(folder / "velocity_0.nc", velocity=values[:1])
    hdf5(folder / "velocity_1.nc", velocity=values[1:])
    data = open_trajectories(folder)
    check(data, values.swapaxes(-1, -2))
    assert data.problem == "NS-SL"


def test_pdegym_through_netcdf(tmp_path):
    import xarray

    values = random(2, 4, 2, 6, 6)
    dims = ("sample", "time", "channel", "x", "y")
    xarray.Dataset({"solution": (dims, values)}).to_netcdf(tmp_path / "FNS-KF.nc", engine="h5netcdf")
    data = open_trajectories(tmp_path / "FNS-KF.nc")
    check(data, values)
    assert data.channels == ("u", "v") and data.periodic == (True, True)


@pytest.mark.parametrize(("name", "key", "end"), [("CE-RP", "data", 1), ("CE-RM", "solution", 2)])
def test_pdegym_compressible(tmp_path, name, key, end):
    values = random(2, 4, 5, 6, 6)
    data = open_trajectories(hdf5(tmp_path / f"{name}.nc", **{key: values}))
    check(data, values[:, :, :4])
    assert data.channels == ("density", "u", "v", "pressure") and data.times[-1] == end
    assert data.groups == ("density", "velocity", "velocity", "pressure")


def test_pdegym_gravity(tmp_path):
    values = random(2, 4, 6, 6, 6)
    data = open_trajectories(hdf5(tmp_path / "GCE-RT.nc", solution=values))
    check(data, values[:, :, [0, 1, 2, 3, 5]])
    assert data.channels[-1] == data.groups[-1] == "gravity" and data.periodic == (False, False)


def test_pdegym_waves_and_phases(tmp_path):
    u, c = random(2, 4, 6, 6), random(2, 6, 6)
    data = open_trajectories(hdf5(tmp_path / "Wave-Layer.nc", solution=u, c=c))
    check(data, np.stack([u, np.broadcast_to(c[:, None], u.shape)], axis=2))
    assert data.channels == ("u", "c") and data.periodic == (False, False)
    data = open_trajectories(hdf5(tmp_path / "ACE.nc", solution=u))
    check(data, u[:, :, None])
    assert data.periodic == (True, True)


def test_pdegym_steady(tmp_path):
    f, u = random(2, 6, 6), random(2, 6, 6) + 1
    data = open_trajectories(hdf5(tmp_path / "Poisson-Gauss.nc", source=f, solution=u))
    check(data, u[:, None, None])
    torch.testing.assert_close(data.inputs(), torch.from_numpy(f[:, None]))
    np.testing.assert_allclose(data.grid["y"], np.linspace(0, 1, 6))
    airfoil = random(2, 2, 6, 6)
    data = open_trajectories(hdf5(tmp_path / "SE-AF.nc", solution=airfoil))
    check(data, airfoil[:, None, 1:])
    torch.testing.assert_close(data.inputs([1]), torch.from_numpy(airfoil[1:, :1]))


def test_pdegym_helmholtz(tmp_path):
    a, u, boundary = random(12, 6, 6), random(12, 6, 6) + 1, np.arange(12.0)
    arrays = {
        f"Sample_{i}__{key}": values for i in range(12) for key, values in (("a", a[i]), ("u", u[i]), ("bc", boundary[i]))
    }
    data = open_trajectories(hdf5(tmp_path / "Helmholtz.h5", **arrays))
    check(data, u[:, None, None])
    found = data.inputs([11, 2])
    torch.testing.assert_close(found[:, 0], torch.from_numpy(a[[11, 2]]))
    assert found[0, 1].unique().tolist() == [11]


# Tensors and MATLAB ---------------------------------------------------------------------------------------------------


def test_tensors_of_a_map(tmp_path):
    x, y = torch.from_numpy(random(3, 4, 4)) > 0, torch.from_numpy(random(3, 4, 4))
    torch.save({"x": x, "y": y}, tmp_path / "darcy_train_16.pt")
    data = open_trajectories(tmp_path / "darcy_train_16.pt")
    check(data, y.numpy()[:, None, None])
    torch.testing.assert_close(data.inputs(), x[:, None].float())
    assert data.periodic == (False, False) and data.grid["x"][-1] == 1


def test_tensors_of_trajectories(tmp_path):
    y = torch.from_numpy(random(3, 5, 8)).double()
    torch.save({"x": y[:, 0], "y": y, "visc": torch.tensor([0.1])}, tmp_path / "burgers_train_16.pt")
    data = open_trajectories(tmp_path / "burgers_train_16.pt")
    check(data, y.numpy()[:, :, None])
    assert data.periodic == (True,) and data.input_channels == ()


@pytest.mark.parametrize("version", [5, 7])
def test_matlab(tmp_path, version):
    def save(name, **arrays):
        path = tmp_path / name
        if version == 5:
            from scipy.io import savemat

            savemat(path, arrays)
        else:  # HDF5 after a header of 512 bytes, all axes reversed
            with h5py.File(path, "w", userblock_size=512) as file:
                for key, values in arrays.items():
                    file[key] = np.asarray(values).T
        return open_trajectories(path)

    a, u = random(3, 8), random(3, 8) + 1
    data = save("burgers_data_R10.mat", a=a, u=u)
    check(data, u[:, None, None])
    torch.testing.assert_close(data.inputs([2]), torch.from_numpy(a[2:, None]))
    a, u = random(3, 5, 6), random(3, 5, 6) + 1
    data = save("piececonst_r421_N1024_smooth1.mat", coeff=a, sol=u)
    check(data, u[:, None, None])
    torch.testing.assert_close(data.inputs([2]), torch.from_numpy(a[2:, None]))
    assert data.periodic == (False, False) and data.input_channels == ("coeff",)
    w = random(3, 5, 6, 4)
    data = save("ns_V1e-3_N5000_T50.mat", a=w[..., 0], u=w, t=np.arange(1.0, 5.0)[None])
    check(data, np.moveaxis(w, -1, 1)[:, :, None])
    assert data.channels == ("w",) and data.times.tolist() == [1, 2, 3, 4]


# What is wrong --------------------------------------------------------------------------------------------------------


class Evil:
    def __reduce__(self):
        return print, ("executed",)


def test_nothing_that_a_file_holds_is_executed(tmp_path, capsys):
    torch.save({"x": Evil(), "y": torch.ones(2, 2)}, tmp_path / "evil.pt")
    with pytest.raises(InputError, match="cannot be read as a dictionary of tensors, and nothing else is read"):
        open_trajectories(tmp_path / "evil.pt")
    assert "executed" not in capsys.readouterr().out


def test_other_files(tmp_path):
    torch.save([torch.ones(2)], tmp_path / "list.pt")
    torch.save({"a": torch.ones(2)}, tmp_path / "other.pt")
    (tmp_path / "text.pt").write_text("text")
    (tmp_path / "text.mat").write_text("text")
    torch.save({"x": torch.ones(3, 4), "y": torch.ones(3, 4)}, tmp_path / "cut.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "cut.pt").read_bytes()[:-200])
    hdf5(tmp_path / "other.h5", temperature=np.ones(3))
    for name, message in {
        "list.pt": "holds list, expected a dictionary of tensors",
        "other.pt": "layout is not known, found a; known are those of sciml, PDEBench",
        "text.pt": "cannot be read as a dictionary of tensors",
        "cut.pt": "cannot be read as a dictionary of tensors",
        "text.mat": "cannot be read as a MATLAB file",
        "other.h5": "layout is not known, found temperature",
    }.items():
        with pytest.raises(InputError, match=message) as caught:
            open_trajectories(tmp_path / name)
        assert str(caught.value).startswith(str(tmp_path / name))


AXIS = np.arange(4) / 4


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"tensor": random(2, 3, 4)}, "there is no 'x-coordinate', found tensor"),
        ({"tensor": random(2, 3, 4), "x_coordinate": AXIS}, "there is no 't-coordinate'"),
        (
            {"tensor": random(2, 3, 4), "x_coordinate": AXIS[:3], "t_coordinate": np.arange(3)},
            r"'tensor' has shape \(2, 3, 4\), expected \(sample 2, time 3, x 3\)",
        ),
        (
            {"tensor": random(2, 3, 4), "x_coordinate": AXIS, "t_coordinate": np.array([0, 1, 3])},
            "'times' must increase in equal steps, found steps from 1 to 2",
        ),
        (
            {"density": random(2, 3, 4), "Vx": random(2, 3, 4), "x_coordinate": AXIS, "t_coordinate": np.arange(3)},
            "there is no 'pressure', found Vx, density",
        ),
        (
            {"density": random(2, 3, 4), "Vx": random(2, 2, 4), "pressure": random(2, 3, 4), "x_coordinate": AXIS,
             "t_coordinate": np.arange(3)},
            r"'Vx' has shape \(2, 2, 4\), expected \(sample 2, time 3, x 4\)",
        ),
        ({"tensor": random(2, 3), "x_coordinate": AXIS}, "has 2 axes, expected samples, times and one to three of space"),
        ({"velocity": random(2, 3, 2, 4, 5)}, r"'velocity' has shape .* expected \(sample 2, time 3, channel, x 5, y 5\)"),
        ({"data": random(2, 3, 2, 4, 4)}, "'data' hold 2 channels, expected 4: density, u, v, pressure"),
        ({"solution": random(2, 3, 4, 4), "c": random(3, 4, 4)}, r"'c' has shape \(3, 4, 4\), expected \(sample 2"),
        ({"solution": random(2, 4, 4), "source": random(3, 4, 4)}, r"'source' has shape \(3, 4, 4\), expected \(sample 2"),
    ],
)  # fmt: skip
def test_one_clear_error_for_a_wrong_file(tmp_path, arrays, message):
    path = hdf5(tmp_path / "wrong.nc", **arrays)
    with pytest.raises(InputError, match=message) as caught:
        open_trajectories(path)
    assert str(path) in str(caught.value)


def test_a_sample_that_differs_from_the_others_is_named(tmp_path):
    path = hdf5(
        tmp_path / "swe.h5",
        **{"0000__data": random(3, 4, 1), "0000__grid__x": AXIS, "0000__grid__t": np.arange(3), "0001__data": random(2, 4, 1)},
    )
    data = open_trajectories(path)
    data.read([0])
    with pytest.raises(InputError, match=r"'/0001/data' has shape \(2, 4, 1\), expected \(time 3, x 4, channel\)"):
        data.read([1])


def test_the_well_with_parts_missing(tmp_path):
    for change, message in (
        (lambda f: f["dimensions"].pop("y"), "there is no 'y', found time, x"),
        (lambda f: f["dimensions"].attrs.pop("spatial_dims"), "'/dimensions' has no attribute 'spatial_dims'"),
        (lambda f: f["t1_fields"].pop("velocity"), "there is no 'velocity'"),
        (lambda f: f["t0_fields/density"].attrs.pop("dim_varying"), "'/t0_fields/density' has no attribute 'dim_varying'"),
        (lambda f: f["dimensions/time"].attrs.modify("sample_varying", True), "'dimensions/time' varies between samples"),
    ):
        well(tmp_path / "swirl.hdf5")
        with h5py.File(tmp_path / "swirl.hdf5", "r+") as file:
            change(file)
        with pytest.raises(InputError, match=message):
            open_trajectories(tmp_path / "swirl.hdf5")


def test_numbers_that_are_not_finite_are_found_in_any_layout(tmp_path):
    values = random(2, 3, 2, 4, 4)
    values[1, 2, 1, 0, 0] = np.nan
    data = open_trajectories(hdf5(tmp_path / "NS-BB.nc", velocity=values))
    data.read([1], [0, 1])
    with pytest.raises(InputError, match=r"NS-BB.nc: channel 'v' of sample 1 at time 2"):
        data.read([0, 1])


def test_a_folder_of_two_layouts_is_refused(tmp_path):
    hdf5(tmp_path / "a.nc", velocity=random(2, 3, 2, 4, 4))
    hdf5(tmp_path / "b.nc", solution=random(2, 3, 4, 4))
    with pytest.raises(InputError, match=r"b\.nc: 'channels' differ from those of"):
        open_trajectories(tmp_path)
