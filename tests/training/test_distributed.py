"""Two processes on the CPU, as torchrun would start them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sciml.losses import GradientAnnealing
from sciml.optim import LBFGS, Adam
from sciml.problem import Points
from sciml.training import Callback, Phase, ResidualObjective, distributed
from tests.training.decay import Decay, trainer, weights
from tests.training.processes import run_two

PHASES = [Phase(Adam(1e-2), steps=12, weighting=GradientAnnealing(period=4)), Phase(LBFGS(), steps=10)]


class Shares(Decay):
    """Evaluates this process's half of fixed points."""

    def sample(self, generator, method="uniform", scale=1):
        points = torch.linspace(0, 1, 16, dtype=torch.float64).unsqueeze(1)
        own = points[distributed.rank() :: 2] if distributed.world_size() == 2 else points
        return {"interior": Points(own), "initial_u": Points(torch.zeros(4, 1, dtype=torch.float64))}


class Kill(Callback):
    def on_step(self, run):
        if run.step == 15:
            raise RuntimeError("killed")


def fail(gradient: torch.Tensor) -> None:
    raise RuntimeError("failed")


def work(folder: Path) -> None:
    """What every process does."""
    solver = Shares()
    with distributed.process_group(solver.device):
        rank = distributed.rank()
        if rank == 1:
            solver.network[0].weight.data.mul_(2)  # replicas start from the main process's weights
        with distributed.averaged_gradients(solver):
            objective = ResidualObjective(solver)
            objective.set_points(solver.sample(torch.Generator()))
            hook = solver.network[0].weight.register_hook(fail)
            with pytest.raises(RuntimeError, match="failed"):  # what it leaves must not reach the next pass
                torch.autograd.grad(objective.loss(), objective.parameters)
            hook.remove()
            loss = objective.loss()
            gradient = torch.cat([g.flatten() for g in torch.autograd.grad(loss, objective.parameters)])
        result = trainer(PHASES).fit(solver)
        drawn = Decay()
        trainer(PHASES).fit(drawn)
        interrupted, resumed = Decay(), Decay()
        try:
            trainer(PHASES, callbacks=[Kill()], folder=folder / "run").fit(interrupted)
        except RuntimeError:
            trainer(PHASES).fit(resumed, resume=folder / "run")
        torch.save(
            {
                "loss": loss.detach(), "gradient": gradient, "trained": weights(solver), "weights": result.weights,
                "drawn": weights(drawn), "resumed": weights(resumed), "losses": result.history.to_dict()["loss"],
            },
            folder / f"{rank}.pt",
        )  # fmt: skip


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("distributed")
    run_two(folder, "tests.training.test_distributed")
    assert (folder / "run" / "history.csv").exists()
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


def test_loss_and_gradient_are_those_of_the_union_of_the_points(outcomes):
    objective = ResidualObjective(Shares())
    objective.set_points(Shares().sample(torch.Generator()))
    loss = objective.loss()
    gradient = torch.cat([g.flatten() for g in torch.autograd.grad(loss, objective.parameters)])
    for outcome in outcomes:
        torch.testing.assert_close(outcome["loss"], loss.detach(), rtol=1e-14, atol=0)
        torch.testing.assert_close(outcome["gradient"], gradient, rtol=1e-12, atol=1e-15)


def test_training_is_that_of_a_single_process_on_the_union(outcomes):
    single = Shares()
    result = trainer(PHASES).fit(single)
    for outcome in outcomes:
        torch.testing.assert_close(outcome["trained"], weights(single), rtol=1e-7, atol=1e-9)
        assert outcome["weights"] == pytest.approx(result.weights, rel=1e-9)
        assert outcome["losses"] == pytest.approx(result.history["loss"].tolist(), rel=1e-6)


def test_processes_draw_different_points_and_stay_replicas(outcomes):
    single = Decay()
    trainer(PHASES).fit(single)
    assert torch.equal(outcomes[0]["drawn"], outcomes[1]["drawn"])
    assert not torch.allclose(outcomes[0]["drawn"], weights(single))


def test_a_resumed_distributed_run_equals_the_uninterrupted_one(outcomes):
    for outcome in outcomes:
        assert torch.equal(outcome["resumed"], outcome["drawn"])


def test_a_single_process_is_left_alone():
    solver = Decay()
    with distributed.process_group(torch.device("cpu")), distributed.averaged_gradients(solver):
        assert distributed.world_size() == 1
        assert all(not parameter._backward_hooks for parameter in solver.parameters())
