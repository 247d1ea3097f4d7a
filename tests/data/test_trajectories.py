"""Writing and reading trajectories in sciml's own layout."""

from __future__ import annotations

import multiprocessing
import os
import pickle
from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch

from sciml.data import Batch, Header, Trajectories, open_trajectories, write_trajectories
from sciml.data.recognise import open_layout
from sciml.errors import InputError

HEADER = Header(
    problem="swirl",
    channels=("u", "v", "density"),
    groups=("velocity", "velocity", "density"),
    times=np.linspace(0, 1, 6),
    grid={"y": np.arange(4) / 4, "x": np.arange(5) / 5},
    periodic=(True, False),
    settings={"nu": 0.01},
    provenance={"seed": 3},
)


def values(samples=7, first=0):
    index = torch.arange(first, first + samples, dtype=torch.float64).reshape(-1, 1, 1, 1, 1)
    inside = torch.arange(6 * 3 * 4 * 5, dtype=torch.float64).reshape(6, 3, 4, 5)
    return 1000 * index + inside


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "swirl.h5"
    fields, nu = values(), torch.linspace(0, 1, 7, dtype=torch.float64)
    write_trajectories(file, HEADER, (Batch(fields[i : i + 3], None, {"nu": nu[i : i + 3]}) for i in (0, 3, 6)))
    return file


def test_everything_comes_back(path):
    with Trajectories(path) as data:
        assert len(data) == 7 and data.shape == (7, 6, 3, 4, 5)
        for name in ("problem", "channels", "groups", "periodic", "settings", "provenance", "input_channels"):
            assert getattr(data, name) == getattr(HEADER, name), name
        assert list(data.grid) == ["y", "x"]  # the order of the axes, not of the alphabet
        np.testing.assert_array_equal(data.grid["x"], HEADER.grid["x"])
        np.testing.assert_array_equal(data.times, HEADER.times)
        torch.testing.assert_close(data.parameters["nu"], torch.linspace(0, 1, 7, dtype=torch.float64))
        read = data.read()
        assert read.dtype == torch.float32
        torch.testing.assert_close(read, values().float())


@pytest.mark.parametrize("samples", [slice(1, 6, 2), [4], [5, 0, 2, 0], np.array([-1, 3]), torch.tensor([6, 5]), []])
@pytest.mark.parametrize("times", [slice(None), slice(0, None, 3), [3, 1, 3], [0, 1, 5]])
def test_any_indices_in_any_order(path, samples, times):
    expected = values().float().numpy()[np.asarray(samples, dtype=int) if isinstance(samples, list) else samples]
    found = open_trajectories(path).read(samples, times)
    np.testing.assert_array_equal(found.numpy(), expected[:, times])


def test_what_is_not_asked_for_is_not_read(path, monkeypatch):
    data, counts = Trajectories(path), []
    original = h5py.Dataset.__getitem__

    def counting(self, index, **options):
        result = original(self, index, **options)
        counts.append(np.size(result))
        return result

    monkeypatch.setattr(h5py.Dataset, "__getitem__", counting)
    data.read([2, 5], [1])
    assert sum(counts) == 2 * 3 * 4 * 5


def test_a_folder_of_files_is_one_set(tmp_path):
    for number in range(3):
        write_trajectories(tmp_path / f"part_{number}.h5", HEADER, [Batch(values(2, first=2 * number))])
    data = Trajectories(tmp_path)
    torch.testing.assert_close(data.read([5, 0, 3]), values().float()[[5, 0, 3]])
    for number in range(3, 11):  # the tenth comes after the ninth
        write_trajectories(tmp_path / f"part_{number}.h5", HEADER, [Batch(values(1, first=3 + number))])
    assert Trajectories(tmp_path).read([13], [0])[0, 0, 0, 0, 0] == 13_000


def test_files_of_a_folder_must_be_alike(tmp_path):
    write_trajectories(tmp_path / "a.h5", HEADER, [Batch(values(1))])
    write_trajectories(tmp_path / "b.h5", replace(HEADER, times=HEADER.times + 1), [Batch(values(1))])
    with pytest.raises(InputError, match=r"b.h5: 'times' differ from those of .*a.h5"):
        Trajectories(tmp_path)


def _worker(data, index, opened, queue):
    value = data.read([index]).sum().item()
    queue.put((value, opened[-1] == os.getpid()))


def test_every_process_opens_the_file_for_itself(path, monkeypatch):
    opened = []

    def recorded(file):
        opened.append(os.getpid())
        return open_layout(file)

    monkeypatch.setattr("sciml.data.trajectories.open_layout", recorded)
    data = Trajectories(path)
    expected = [data.read([i]).sum().item() for i in range(2)]
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    workers = [context.Process(target=_worker, args=(data, index, opened, queue)) for index in range(2)]
    for worker in workers:
        worker.start()
    found = [queue.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    assert sorted(found) == [(value, True) for value in sorted(expected)]
    assert data.read([0]).sum().item() == expected[0] and opened == [os.getpid()]


def test_pickling_carries_no_open_file(path):
    data = Trajectories(path)
    copy = pickle.loads(pickle.dumps(data))
    data.close()
    torch.testing.assert_close(copy.read([1]), values().float()[[1]])


def test_inputs_of_a_steady_map(tmp_path):
    grid = {"x": np.arange(4) / 4}
    header = Header("darcy", ("u",), ("u",), np.zeros(1), grid, (False,), input_channels=("a",))
    inputs = torch.arange(12.0).reshape(3, 1, 4)
    write_trajectories(tmp_path / "d.h5", header, [Batch(torch.zeros(3, 1, 1, 4), inputs)])
    data = Trajectories(tmp_path / "d.h5")
    torch.testing.assert_close(data.inputs([2, 0]), inputs[[2, 0]])
    with pytest.raises(InputError, match="a batch has no inputs, expected a"):
        write_trajectories(tmp_path / "e.h5", header, [Batch(torch.zeros(3, 1, 1, 4))])


def test_channels_by_choice(path):
    data = Trajectories(path, channels=["density", "u"])
    assert data.channels == ("density", "u") and data.groups == ("density", "velocity") and data.shape == (7, 6, 2, 4, 5)
    torch.testing.assert_close(data.read([3], [1]), values().float()[[3]][:, [1]][:, :, [2, 0]])
    with pytest.raises(InputError, match="there is no channel 'w'; choose one of density, u, v"):
        Trajectories(path, channels=["w"])


class Stop(BaseException):
    pass


@pytest.mark.parametrize(
    ("second", "error", "message"),
    [
        (Stop(), Stop, None),
        (Batch(torch.full((1, 6, 3, 4, 5), torch.nan)), InputError, "'fields' of a batch from sample 7 on .* not finite"),
        (Batch(torch.zeros(1, 6, 3, 5, 4)), InputError, r"shape \(1, 6, 3, 5, 4\), expected \(1, 6, 3, 4, 5\)"),
    ],
)
def test_a_failure_leaves_no_file_and_keeps_the_old_one(tmp_path, second, error, message):
    def batches():
        yield Batch(values())
        if isinstance(second, BaseException):
            raise second
        yield second

    file = tmp_path / "old.h5"
    file.write_bytes(b"old")
    with pytest.raises(error, match=message):
        write_trajectories(file, HEADER, batches())
    assert [entry.name for entry in tmp_path.iterdir()] == ["old.h5"] and file.read_bytes() == b"old"


def test_no_trajectories_or_no_folder(tmp_path):
    with pytest.raises(InputError, match="no trajectories to write"):
        write_trajectories(tmp_path / "a.h5", HEADER, [])
    with pytest.raises(InputError, match="cannot be written"):
        write_trajectories(tmp_path / "missing" / "a.h5", HEADER, [Batch(values())])


def damage(path, change):
    with h5py.File(path, "r+") as file:
        change(file)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.attrs.modify("version", 9), "version 9 of 'sciml-trajectories' is not known, expected 1"),
        (lambda f: f.pop("fields"), "no 'fields', found grid, parameters, times"),
        (lambda f: f.pop("grid/x"), "no 'grid/x'"),
        (lambda f: f["fields"].attrs.pop("groups"), "'/fields' has no attribute 'groups', found"),
        (lambda f: f["fields"].attrs.create("groups", ["a", "b"]), "'groups' has 2 entries, expected 3"),
        (lambda f: f["fields"].resize(4, axis=0), r"'parameters/nu' has shape \(7,\), expected \(4,\)"),
        (lambda f: f["times"].__setitem__(2, 0.5), "'times' must increase in equal steps, found steps from 0.1 to 0.3"),
        (
            lambda f: (f.pop("times"), f.create_dataset("times", data=np.arange(5.0))),
            r"\(7, 6, 3, 4, 5\), expected \(sample 7, time 5, channel, y 4, x 5\)",
        ),
        (lambda f: f.attrs.pop("format"), "layout is not known, found fields, grid, parameters, times"),
    ],
)
def test_one_clear_error_for_a_wrong_file(path, change, message):
    damage(path, change)
    with pytest.raises(InputError, match=message) as caught:
        Trajectories(path)
    assert str(path) in str(caught.value)


def test_numbers_that_are_not_finite_are_found_while_reading(path):
    damage(path, lambda f: f["fields"].__setitem__((4, 2, 0, 0, 0), np.inf))
    data = Trajectories(path)
    data.read([4], [1])
    with pytest.raises(InputError, match=r"channel 'u' of sample 4 at time 2 \(t=0.4\) holds .* not finite"):
        data.read([0, 4], [1, 2])


def test_files_that_are_none(tmp_path, path):
    truncated = tmp_path / "truncated.h5"
    truncated.write_bytes(path.read_bytes()[:-1000])
    (tmp_path / "text.h5").write_text("no HDF5")
    (tmp_path / "empty").mkdir()
    for name, message in {
        "truncated.h5": "cannot be read as HDF5: .*truncated",
        "text.h5": "cannot be read as HDF5",
        "empty": "holds no files",
        "missing.h5": "there is no file",
    }.items():
        with pytest.raises(InputError, match=message):
            Trajectories(tmp_path / name)


@pytest.mark.parametrize(("samples", "message"), [([7], "no number 7"), ([0.5], "whole numbers"), ([-8], "no number -8")])
def test_indices_out_of_range(path, samples, message):
    with pytest.raises(InputError, match=message):
        Trajectories(path).read(samples)


def test_no_inputs(path):
    with pytest.raises(InputError, match="there are no inputs"):
        Trajectories(path).inputs()
