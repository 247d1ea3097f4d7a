"""Two processes that each hold half of an operator's weights, as torchrun would start them."""

from __future__ import annotations

import contextlib
import importlib
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.figure import Figure
from torch import Tensor

from operators import FNO
from sciml.data import Trajectories
from sciml.errors import InputError
from sciml.losses import GradientAnnealing
from sciml.neural_operator import folder as pictures
from sciml.neural_operator import load_operator, train
from sciml.nn.sharding import blocks, held, is_share, whole
from sciml.optim import Adam, AdamW
from sciml.optim.optimiser import loss_and_gradient
from sciml.solvers import GridOperator, NeuralOperator
from sciml.solvers.operator import Signature
from sciml.training import Callback, Epochs, Phase, ResidualObjective, distributed
from tests.neural_operator.waves import Waves, write_waves
from tests.training.decay import Decay, trainer, weights
from tests.training.processes import run_two
from tests.training.test_distributed_operator import OPTIONS, drift_net, fno

recipe = importlib.import_module("sciml.recipes.operator")  # as an attribute of the package, the recipe itself
CLIP = 0.1  # which shortens the gradients of both
NETWORKS = {"fno": fno, "drift_net": drift_net}


def solver(name: str, file: Path, **options: Any) -> NeuralOperator:
    data = Trajectories(file)
    operator = GridOperator(NETWORKS[name](), Signature.of(data))
    return NeuralOperator(operator, data, training=8, high_frequency=True, noise=0.01, average=0.9, **options).double()


class Watch(Callback):
    """What this process holds of the weights and of the optimiser's state, against all of it."""

    def on_step(self, run):
        entries = [entry[name] for entry in run.optimiser.state_dict()["state"].values() for name in ("exp_avg", "exp_avg_sq")]
        tensors = [*run.solver.parameters(), *entries]
        self.share = sum(held(tensor).numel() for tensor in tensors) / sum(tensor.numel() for tensor in tensors)


class Spoil(Callback):
    """Weights that are not numbers in one process, after two steps."""

    def on_step(self, run):
        if run.step == 2 and distributed.rank() == distributed.world_size() - 1:
            with torch.no_grad():
                held(run.objective.parameters[0]).fill_(math.nan)


class Killed(Exception):
    pass


class Kill(Callback):
    def on_step(self, run):
        if run.step == 5:
            raise Killed


def gradient(name: str, file: Path, shard: bool, autocast: torch.dtype | None = None) -> Tensor:
    """Gradient of the loss of the first batch, shortened."""
    found = solver(name, file) if autocast is None else solver(name, file).float()
    with distributed.sharded_parameters(found) if shard else distributed.averaged_gradients(found):
        objective = ResidualObjective(found, autocast=autocast)
        objective.set_points(Epochs(size=8)(found, 0, torch.Generator()))
        _, gradients = loss_and_gradient(objective)
        for parameter, slope in zip(objective.parameters, gradients, strict=True):
            parameter.grad = slope
        torch.nn.utils.clip_grad_norm_(objective.parameters, CLIP)
        return torch.cat([whole(parameter.grad).flatten() for parameter in objective.parameters])


def outcome(name: str, file: Path, shard: bool) -> dict[str, Any]:
    """After ten steps: weights and their average, the history, and the share of it all that the process held."""
    found, watch = solver(name, file, pushforward=0.2), Watch()
    phase = Phase(AdamW(1e-3, clip=CLIP), steps=10, sampler=Epochs(size=8))
    result = trainer([phase], callbacks=[recipe.MovingAverage(), watch], shard=shard, log_every=1).fit(found)
    assert type(found.operator) is GridOperator and not any(map(is_share, found.parameters()))
    return {"trained": weights(found), "losses": result.history.to_dict()["loss"], "share": watch.share}


def diverged(file: Path, shard: bool, folder: Path | None = None) -> dict[str, Any]:
    found, phase = solver("fno", file), Phase(AdamW(1e-3), steps=4, sampler=Epochs(size=8))
    callbacks = [recipe.MovingAverage(), Spoil()]
    result = trainer([phase], callbacks=callbacks, shard=shard, log_every=1, folder=folder, checkpoint_every=1).fit(found)
    return {"trained": weights(found), "reason": result.stop_reason}


def go(file: Path, shard: bool = True, kill: bool = False, **options: Any) -> Tensor:
    """The weights that nine steps of the recipe leave."""
    data = Trajectories(file)
    network, training = recipe.split_settings("fno", OPTIONS | {"average": 0.9, "shard": shard})
    model = recipe.build_operator("fno", network, Signature.of(data), (16, 8))
    trained = recipe.build_solver(model, data, training)
    recipe.train_operator(trained, training, epochs=1, progress=False, callbacks=[Kill()] if kill else [], **options)
    return flat(trained.trained)


def flat(operator: GridOperator) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in operator.parameters()])


def runs(file: Path, folder: Path) -> dict[str, Tensor]:
    """An uninterrupted run, and one that is killed and goes on; a checkpoint of either kind is left behind."""
    options = OPTIONS | {"average": 0.9, "shard": True}
    found = {"whole": flat(train("fno", file, epochs=1, progress=False, folder=folder / "run", **options).operator)}
    for name in ("sharded", "replicated"):
        with contextlib.suppress(Killed):
            go(file, shard=name == "sharded", kill=True, folder=folder / name)
    found["resumed"] = go(file, resume=folder / "sharded")
    found["from_replicas"] = go(file, resume=folder / "replicated")
    return found


def work(folder: Path) -> None:
    """What every process does."""
    recipe.CHECKPOINT_EVERY = 2
    file, blank = folder / "waves.h5", Figure((1, 1))
    pictures.plot_fields = pictures.plot_errors = pictures.plot_convergence = lambda *_, **__: blank
    with distributed.process_group(torch.device("cpu")):
        found: dict[str, Any] = {"runs": runs(file, folder)}
        for name in NETWORKS:
            found[name] = outcome(name, file, shard=True) | {"gradient": gradient(name, file, shard=True)}
        found["diverged"] = diverged(file, shard=True, folder=folder / "diverged")
        for name, dtype in (("bfloat16", torch.bfloat16), ("float16", torch.float16)):
            found[name] = {shard: gradient("fno", file, shard, dtype) for shard in (True, False)}
        torch.save(found, folder / f"{distributed.rank()}.pt")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sharded")
    write_waves(folder / "waves.h5")
    run_two(folder, "tests.training.test_sharded_operator")
    return folder


@pytest.fixture(scope="module")
def outcomes(folder):
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_and_training_are_those_of_one_process(folder, outcomes, name):
    expected = gradient(name, folder / "waves.h5", shard=False)
    single = outcome(name, folder / "waves.h5", shard=True)  # where there is one process, nothing is sharded
    assert single["share"] == 1 and expected.norm() == pytest.approx(CLIP, rel=1e-4)
    for found in (outcome[name] for outcome in outcomes):
        assert 0.3 < found["share"] < 0.7
        assert (found["gradient"] - expected).norm() < 1e-12 * expected.norm()
        assert found["losses"] == pytest.approx(single["losses"], rel=1e-10)
        torch.testing.assert_close(found["trained"], single["trained"], rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("kind", ["bfloat16", "float16"])
def test_mixed_precision(outcomes, kind):
    for found in (outcome[kind] for outcome in outcomes):
        assert (found[True] - found[False]).norm() < 0.02 * found[False].norm()


def test_a_killed_run_goes_on_as_if_nothing_had_happened(outcomes):
    for found in (outcome["runs"] for outcome in outcomes):
        assert torch.equal(found["resumed"], found["whole"])
        torch.testing.assert_close(found["from_replicas"], found["whole"], rtol=1e-4, atol=1e-6)


def test_one_process_goes_on_where_two_were_killed(folder, outcomes):
    for name in ("sharded", "replicated"):
        resumed = go(folder / "waves.h5", resume=folder / name)
        torch.testing.assert_close(resumed, outcomes[0]["runs"]["whole"], rtol=1e-4, atol=1e-6)


def test_the_weights_that_are_written_are_whole(folder, outcomes):
    assert torch.equal(flat(load_operator(folder / "run")), outcomes[0]["runs"]["whole"])


def test_after_a_divergence_in_one_process_all_go_back(folder, outcomes):
    single = diverged(folder / "waves.h5", shard=False)
    state = torch.load(folder / "diverged" / "checkpoint" / "state.pt", weights_only=True)
    assert state["step"] == 1  # the last one with sound weights
    for found in (outcome["diverged"] for outcome in outcomes):
        assert "the weights of step 1 are restored" in found["reason"]
        torch.testing.assert_close(found["trained"], single["trained"], rtol=1e-9, atol=1e-12)


def test_what_is_a_block():
    network = drift_net()
    names = [type(block).__name__ for block in blocks(network)]
    assert names.count("Block") == 4 and "Chain" not in names and "PatchMerging" in names
    inside = {id(parameter) for block in blocks(network) for parameter in block.parameters()}
    assert {id(parameter) for parameter in network.parameters()} - inside  # the root has its own
    assert len(list(blocks(FNO((2, 2), 1, 1, 2, 3)))) == 3


def test_what_cannot_be_sharded(folder):
    sampler = Epochs(size=8)
    with pytest.raises(InputError, match="takes AdamW, fixed weights and no compile, unlike phase 'Adam'"):
        trainer([Phase(Adam(), steps=1)], shard=True)
    with pytest.raises(InputError, match="unlike phase 'AdamW'"):
        trainer([Phase(AdamW(), steps=1, weighting=GradientAnnealing())], shard=True)
    with pytest.raises(InputError, match="parameters of this Decay cannot be sharded"):
        trainer([Phase(AdamW(), steps=1)], shard=True).fit(Decay())
    with pytest.raises(InputError, match="parameters of this NeuralOperator cannot be sharded"):
        trainer([Phase(AdamW(), steps=1, sampler=sampler)], shard=True).fit(solver("fno", folder / "waves.h5", problem=Waves()))
    with pytest.raises(InputError, match="leave out shard"):
        recipe.OperatorTraining(physics=1.0, shard=True)
