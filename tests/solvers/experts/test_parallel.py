"""Experts on two processes, as torchrun would start them, and on one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from problems import Burgers, Heat, Helmholtz, InverseDiffusion
from sciml.recipes.experts import experts
from sciml.solvers.experts import parallel
from sciml.solvers.experts.basis import Legendre
from sciml.solvers.experts.boxes import grid
from sciml.solvers.experts.dissection import parts
from sciml.solvers.experts.error import estimate_error
from sciml.solvers.experts.system import System
from sciml.solvers.experts.terms import State
from sciml.solvers.experts.tiling import Tiling
from sciml.training import distributed
from tests.solvers.experts.test_error import Disturbed
from tests.solvers.experts.test_integrals import Insulated
from tests.training.processes import run_two

CASES = {
    "helmholtz": (Helmholtz(), 1e-6),
    "integral": (Insulated(), 1e-4),
    "march": (Burgers(nu=0.1), 1e-3),
    "inverse": (InverseDiffusion(measurements=100), 1e-3),
}


def solutions() -> dict[str, dict[str, torch.Tensor]]:
    found = {}
    for name, (problem, target) in CASES.items():
        result = experts(problem, target=target, seconds=1e6, progress=False)
        points = problem.domain.sample(200, torch.Generator().manual_seed(0))
        parameters = torch.tensor(list(result.solution.parameters.values()), dtype=torch.float64)
        found[name] = {**result.solver.fields(points), "parameters": parameters}
    return found


def grids() -> dict[str, torch.Tensor]:
    """How many rows this process holds on sixteen boxes, and what it solves to."""
    problem, line = Helmholtz(), torch.linspace(-1, 1, 5, dtype=torch.float64)
    system = System(problem, Tiling(problem, torch.device("cpu")), grid([line, line]), Legendre(2, 8))
    zero = State(torch.zeros(system.shape, dtype=torch.float64), torch.zeros(0, dtype=torch.float64))
    found = system.step(zero)
    rows = sum(len(term.owner) for term in system.terms)
    return {"rows": torch.tensor(rows), "found": found.coefficients, "residual": torch.tensor(system.residual(found))}


def heat(**options) -> torch.Tensor:
    result = experts(Heat(), target=1e-4, seconds=1e6, progress=False, **options)
    return result.solver.fields(Heat.domain.sample(200, torch.Generator().manual_seed(0)))["u"]


def estimate() -> float:
    return estimate_error(Heat(), Disturbed(Heat(), 1e-2), seconds=0.0)["u"]


def work(folder: Path) -> None:
    """What every process does, apart from an estimate that one of them asks for."""
    with distributed.process_group(torch.device("cpu")):
        found = {"solutions": solutions(), "grid": grids(), "estimate": estimate() if parallel.rank() == 1 else None}
        experts(Heat(), steps=1, progress=False, folder=folder)
        torch.distributed.barrier()  # until the main process has written
        torch.save(found | {"resumed": heat(resume=folder)}, folder / f"{parallel.rank()}.pt")


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("experts")
    run_two(folder, __name__)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


def test_the_solution_does_not_depend_on_the_number_of_processes(outcomes):
    for name, single in solutions().items():
        for field, values in single.items():
            for outcome in outcomes:
                found = outcome["solutions"][name][field]
                assert (found - values).norm() <= 1e-10 * values.norm(), (name, field)


def test_every_process_holds_its_share_of_the_rows(outcomes):
    single = grids()
    shares = [int(outcome["grid"]["rows"]) for outcome in outcomes]
    assert sum(shares) == int(single["rows"]) and max(shares) < 0.6 * sum(shares)
    for outcome in outcomes:
        assert (outcome["grid"]["found"] - single["found"]).norm() < 1e-10 * single["found"].norm()
        torch.testing.assert_close(outcome["grid"]["residual"], single["residual"], rtol=1e-9, atol=0)


def test_an_estimate_may_be_asked_for_by_a_single_process(outcomes):
    assert outcomes[1]["estimate"] == pytest.approx(estimate(), rel=1e-9)


def test_processes_go_on_together_from_a_journal(outcomes):
    for outcome in outcomes:
        assert (outcome["resumed"] - heat()).norm() <= 1e-10 * heat().norm()


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_parts_are_equally_large_and_connected(count):
    line = torch.linspace(0, 1, 9, dtype=torch.float64)
    centres = grid([line, line]).centre
    sizes = parts(centres, count).bincount(minlength=count)
    assert len(sizes) == count and sizes.max() - sizes.min() <= 1 + count // 3
    assert parts(centres[:2], 4).max() < 4, "more processes than experts"
