"""Exported operators compute what the operator does, for any number of samples, from fields in their own units."""

from __future__ import annotations

import pytest
import torch

from operators import FNO, DeepONet, DRIFTNet, ScOT, Size, UNet
from sciml.cli import main
from sciml.data import open_trajectories
from sciml.errors import InputError
from sciml.neural_operator import export, train
from sciml.neural_operator.real_arithmetic import RealArithmetic, RealModule
from sciml.solvers import GridOperator
from sciml.solvers.operator import Signature
from tests.neural_operator.waves import write_waves

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("blank_pictures")]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return open_trajectories(write_waves(tmp_path_factory.mktemp("data") / "waves.h5"))


@pytest.mark.parametrize("network", [FNO((4, 4), 2, 2, 4, 1), DeepONet(2, 2, (16, 8), hidden_channels=4)])
def test_torch_export(data, network, tmp_path):
    operator = GridOperator(network, Signature.of(data))
    operator.learn_normalisation(data, 8)
    export(operator, tmp_path / "operator.pt2", (16, 8))
    program = torch.export.load(tmp_path / "operator.pt2").module()
    x, lead = data.read(slice(0, 5), [0])[:, 0], torch.linspace(0.25, 1, 5)
    with torch.no_grad():
        torch.testing.assert_close(program(x, lead), operator(x, lead), rtol=1e-5, atol=1e-5)


SMALL = Size(4, depths=(1, 1), skips=(1, 0), heads=(2, 2), window=2)
NETWORKS = {
    "deeponet": lambda: DeepONet(2, 2, (16, 10), hidden_channels=4, n_layers=1, n_basis=2),
    "fno": lambda: FNO((5, 4), 2, 2, 4, 1),
    "scot": lambda: ScOT(2, 2, SMALL, patch_size=2),
    "drift_net": lambda: DRIFTNet(2, 2, SMALL, patch_size=2),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_onnx(data, name, tmp_path):
    pytest.importorskip("onnxscript")
    onnx = pytest.importorskip("onnx")
    reference = pytest.importorskip("onnx.reference")
    operator = GridOperator(NETWORKS[name](), Signature.of(data))
    operator.learn_normalisation(data, 8)
    export(operator, tmp_path / "operator.onnx", (16, 10))
    program = reference.ReferenceEvaluator(onnx.load(tmp_path / "operator.onnx"))
    x = torch.randn(3, 2, 16, 10, generator=torch.Generator().manual_seed(0))
    lead = torch.tensor([0.25, 0.5, 1.0])
    (found,) = program.run(None, {"x": x.numpy(), "lead": lead.numpy()})
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(found), operator(x, lead), rtol=1e-5, atol=1e-5)


def test_networks_in_real_arithmetic(data):
    """Nothing complex is left, and a resampled grid (ten points to twelve) is none the worse for it."""
    network = DRIFTNet(2, 2, Size(4, depths=(1, 1), skips=(1, 0), heads=(2, 2)), patch_size=2)
    operator = GridOperator(network, Signature.of(data))
    x, lead = torch.randn(3, 2, 16, 10, generator=torch.Generator().manual_seed(0)), torch.tensor([0.25, 0.5, 1.0])
    with torch.no_grad():
        torch.testing.assert_close(RealModule(operator)(x, lead), operator(x, lead), rtol=1e-5, atol=1e-5)


def test_complex_numbers_without_a_real_counterpart():
    with RealArithmetic(), pytest.raises(NotImplementedError, match="angle of complex numbers"):
        torch.view_as_complex(torch.ones(3, 2)).angle()


@pytest.mark.parametrize("points", [7, 8])
@pytest.mark.parametrize("norm", [None, "ortho", "forward"])
def test_transforms_in_real_arithmetic(points, norm):
    """What ``torch.fft`` computes, half spectra that are cut short or continued by zeros included."""
    x = torch.randn(3, points, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def computed():
        modes = torch.fft.rfft2(x, dim=(1, 2), norm=norm)
        back = torch.fft.irfft2(modes, s=(points, 4), dim=(1, 2), norm=norm)
        line = torch.fft.rfft(x, dim=1, norm=norm)
        lines = [torch.fft.irfft(line, n=n, dim=1, norm=norm) for n in (points - 3, points, points + 2)]
        return [torch.view_as_real(modes), back, *lines]

    expected = computed()
    with RealArithmetic():
        found = computed()
    for real, true in zip(found, expected, strict=True):
        torch.testing.assert_close(real, true, rtol=1e-13, atol=1e-13)


def test_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_waves(tmp_path / "waves.h5")
    trained = train(
        "unet", "waves.h5", epochs=1, batch=64, folder="run", progress=False, hidden_channels=4, n_levels=2, n_blocks=1
    )
    assert main(["export", "run", "--out", "new/operator.pt2", "--grid", "8,12"]) == 0
    program = torch.export.load("new/operator.pt2").module()
    x, lead = torch.randn(3, 2, 8, 12, generator=torch.Generator().manual_seed(0)), torch.full((3,), 0.25)
    torch.testing.assert_close(program(x, lead), trained.operator(x))
    capsys.readouterr()
    for arguments, message in (
        (["run", "--out", "x.onx"], "exported as .pt2 or .onnx"),
        (["run", "--out", "x.pt2", "--grid", "8"], "--grid '8' must be 2 whole numbers"),
        (["nothing", "--out", "x.pt2"], "config.toml"),
    ):
        assert main(["export", *arguments]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and message in error


def test_onnx_is_an_extra(data, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    with pytest.raises(InputError, match=r"sciml-solvers\[onnx\]"):
        export(GridOperator(UNet(2, 2, 4, 2, 1), Signature.of(data)), tmp_path / "operator.onnx", (16, 8))
