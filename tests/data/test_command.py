"""``sciml data``."""

from __future__ import annotations

import pytest

from sciml.cli import main
from sciml.data import Trajectories

SMALL = [
    "data", "random_burgers", "--samples", "3", "--resolution", "16", "--times", "3", "--set", "nu=0.05", "--set", "waves=4",
]  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_data_set(capsys):
    assert main([*SMALL, "--seed", "4", "--out", "folder/burgers.h5"]) == 0
    printed = capsys.readouterr().out
    assert "3 x 3 x u x 16" in printed and "nu=0.05" in printed and "folder/burgers.h5" in printed and "note" not in printed
    data = Trajectories("folder/burgers.h5")
    assert data.shape == (3, 3, 1, 16) and data.settings["nu"] == 0.05 and data.provenance["seed"] == 4


def test_fields_that_the_grid_does_not_resolve_are_remarked_on(capsys):
    assert main([*SMALL, "--set", "nu=0.0001", "--out", "a.h5"]) == 0
    assert "% of a field is in the finest third of the waves that 16 points can show" in capsys.readouterr().out


def test_an_interrupt_leaves_no_file(capsys, monkeypatch, tmp_path):
    from sciml.data import generate

    def interrupted(*arguments, **options):
        header, batches = generate(*arguments, **options)

        def some():
            yield next(batches)
            raise KeyboardInterrupt

        return header, some()

    monkeypatch.setattr("sciml.data.instances._CACHE", 16)
    monkeypatch.setattr("sciml.data.generate", interrupted)
    assert main([*SMALL, "--out", "a.h5"]) == 130
    assert capsys.readouterr().err.endswith("sciml: interrupted\n")
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_not_overwritten(capsys, tmp_path):
    (tmp_path / "a.h5").write_text("precious")
    assert main([*SMALL, "--out", "a.h5"]) == 2
    assert "a.h5 exists" in capsys.readouterr().err and (tmp_path / "a.h5").read_text() == "precious"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data", "helmholtz", "--samples", "1", "--resolution", "8"], "Helmholtz has no random data"),
        (["data", "shear_layer", "--samples", "1", "--resolution", "8"], "did you mean 'shear_layers'"),
        (["data", "burger", "--samples", "1", "--resolution", "8"], "did you mean 'random_burgers'?"),
        (["data", "xyz", "--samples", "1", "--resolution", "8"], "'xyz'; choose one of darcy_flow, euler_"),
        ([*SMALL, "--set", "mu=1"], "RandomBurgers has no setting 'mu'"),
        ([*SMALL, "--set", "seed=1"], "give that of the data set as --seed"),
        ([*SMALL, "--device", "nowhere"], "nowhere"),
        ([*SMALL, "--channels", "u,q"], "no field 'q'"),
    ],
)
def test_bad_input_is_one_line(capsys, tmp_path, arguments, message):
    assert main([*arguments, "--out", "a.h5"]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (tmp_path / "a.h5").exists()


def test_families_are_listed(capsys):
    assert main(["list", "data"]) == 0
    printed = capsys.readouterr().out
    assert "shear_layers" in printed and "thickness=0.05" in printed and "klein_gordon" not in printed
