"""The experts of one batch on two processes, as torchrun would start them, and on one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from problems import DiffusionSorption
from sciml import MLP, HardConstraintMoE, Pointwise
from sciml.solvers.hard_constraint.layer import Tolerances
from sciml.training import ResidualObjective, distributed
from tests.training.processes import run_two

EXPERTS = {"separate": ((3, 1), False), "coupled": ((3, 1), True), "one": ((1, 1), False)}
CASES = {name: (*case, 3) for name, case in EXPERTS.items()} | {
    "one instance": ((3, 1), False, 1),
    "instances for each": ((3, 1), False, 4),
    "coupled instances for each": ((3, 1), True, 2),
}


def outcome(parts: tuple[int, int], interface: bool, batch: int, share: bool = True, draw: int = 0) -> dict[str, torch.Tensor]:
    """Solution of three instances, loss and gradient of a batch."""
    generator = torch.Generator().manual_seed(0)
    network = Pointwise(MLP(HardConstraintMoE.input_channels(DiffusionSorption()), 4, width=8, depth=1, generator=generator))
    solver = HardConstraintMoE(
        DiffusionSorption(), network, shape=(9, 8), bases=4, experts=parts, interface=interface, instances=3, batch=batch,
        condition_points=8, tolerances=Tolerances(100, 1e-11, 1e-13), share=share, generator=generator,
    )  # fmt: skip
    with distributed.averaged_gradients(solver):
        objective = ResidualObjective(solver)
        # Processes draw different points.
        objective.set_points(solver.sample(torch.Generator().manual_seed(draw + distributed.rank())))
        loss = objective.loss()
        gradient = torch.cat([g.flatten() for g in torch.autograd.grad(loss, objective.parameters)])
    return {"u": solver.predict(solver.instances)["u"], "loss": loss.detach(), "gradient": gradient}


def work(folder: Path) -> None:
    """What every process does."""
    with distributed.process_group(torch.device("cpu")):
        found = {name: outcome(*case) for name, case in CASES.items()}
        found["own batches"] = outcome(*CASES["separate"], share=False)
        torch.save(found, folder / f"{distributed.rank()}.pt")


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("share")
    run_two(folder, __name__)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("name", CASES)
def test_solution_and_gradient_do_not_depend_on_the_number_of_processes(name, outcomes):
    single = outcome(*CASES[name])
    assert single["gradient"].norm() > 0
    for found in (each[name] for each in outcomes):
        assert (found["u"] - single["u"]).norm() <= 1e-10 * single["u"].norm()
        assert abs(found["loss"] - single["loss"]) <= 1e-10 * single["loss"]
        assert (found["gradient"] - single["gradient"]).norm() <= 1e-8 * single["gradient"].norm()


def test_processes_that_share_nothing_average_the_gradients_of_their_own_batches(outcomes):
    alone = [outcome(*CASES["separate"], share=False, draw=rank) for rank in range(2)]
    mean = {name: (alone[0][name] + alone[1][name]) / 2 for name in ("loss", "gradient")}
    assert (alone[0]["gradient"] - mean["gradient"]).norm() > 1e-2 * mean["gradient"].norm()
    for found in (each["own batches"] for each in outcomes):
        assert abs(found["loss"] - mean["loss"]) <= 1e-10 * mean["loss"]
        assert (found["gradient"] - mean["gradient"]).norm() <= 1e-8 * mean["gradient"].norm()
