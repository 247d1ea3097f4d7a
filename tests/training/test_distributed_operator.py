"""Two processes that share every batch of an operator with complex weights, as torchrun would start them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from operators import FNO, DRIFTNet, Size
from sciml.data import Trajectories
from sciml.neural_operator import load_operator, train
from sciml.optim import AdamW
from sciml.solvers import GridOperator, NeuralOperator
from sciml.solvers.operator import Signature
from sciml.training import Epochs, Phase, ResidualObjective, distributed
from tests.neural_operator.waves import write_waves
from tests.training.decay import trainer, weights
from tests.training.processes import run_two

SMALL = Size(4, depths=(1, 1), skips=(1, 0), heads=(2, 2), window=2)
OPTIONS = {"n_modes": (4, 4), "hidden_channels": 4, "n_layers": 1, "batch": 10, "noise": 0.01, "pushforward": 0.2}


def fno() -> FNO:
    return FNO((4, 4), 2, 2, 4, 2)


def drift_net() -> DRIFTNet:
    return DRIFTNet(2, 2, SMALL, patch_size=2)


def solver(name: str, file: Path) -> NeuralOperator:
    data = Trajectories(file)
    operator = GridOperator(fno() if name == "fno" else drift_net(), Signature.of(data))
    return NeuralOperator(operator, data, training=8, high_frequency=True, noise=0.01).double()


def outcome(name: str, file: Path) -> dict[str, torch.Tensor]:
    """Loss and gradient of the first batch, and the weights after ten steps."""
    found = solver(name, file)
    with distributed.averaged_gradients(found):
        objective = ResidualObjective(found)
        objective.set_points(Epochs(size=8)(found, 0, torch.Generator()))
        loss = objective.loss()
        gradient = torch.cat([g.flatten() for g in torch.autograd.grad(loss, objective.parameters)])
    trainer([Phase(AdamW(1e-3, clip=1.0), steps=10, sampler=Epochs(size=8))]).fit(found)
    return {"loss": loss.detach(), "gradient": gradient, "trained": weights(found)}


def work(folder: Path) -> None:
    """What every process does."""
    with distributed.process_group(torch.device("cpu")):
        found = {name: outcome(name, folder / "waves.h5") for name in ("fno", "drift_net")}
        train("fno", folder / "waves.h5", epochs=1, progress=False, folder=folder / "run", **OPTIONS)
        torch.save(found, folder / f"{distributed.rank()}.pt")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("distributed")
    write_waves(folder / "waves.h5")
    run_two(folder, "tests.training.test_distributed_operator")
    return folder


@pytest.mark.parametrize("name", ["fno", "drift_net"])
def test_two_processes_have_the_gradients_of_one(folder, name):
    single = outcome(name, folder / "waves.h5")
    assert single["gradient"].any()
    for rank in range(2):
        shared = torch.load(folder / f"{rank}.pt", weights_only=True)[name]
        torch.testing.assert_close(shared["loss"], single["loss"], rtol=1e-12, atol=0)
        error = (shared["gradient"] - single["gradient"]).norm() / single["gradient"].norm()
        assert error < 1e-10
        torch.testing.assert_close(shared["trained"], single["trained"], rtol=1e-6, atol=1e-9)


def test_a_run_of_two_processes_is_that_of_one(folder):
    single = train("fno", folder / "waves.h5", epochs=1, progress=False, **OPTIONS)
    shared = load_operator(folder / "run")
    for ours, theirs in zip(shared.parameters(), single.operator.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)
    assert (folder / "run" / "metrics.json").exists()
