from __future__ import annotations

import os
import signal

import pytest
import torch

from sciml.errors import DivergenceError, InputError
from sciml.losses import Causal, Fixed, FixedPoints, GradientAnnealing, Uniform
from sciml.optim import LBFGS, Adam, AdamW, BudgetSchedule, ExponentialDecay, SSBroyden, Torch
from sciml.training import Callback, EarlyStopping, Every, Phase, ResidualObjective, Trainer
from tests.training.decay import Decay, trainer, weights


class At(Callback):
    """Calls ``action(run)`` after a step."""

    def __init__(self, step, action):
        self.step, self.action = step, action

    def on_step(self, run):
        if run.step == self.step:
            self.action(run)


def test_phases_follow_one_another_and_report():
    phases = [
        Phase(Adam(1e-2), steps=25, weighting=GradientAnnealing(), precision="float32"),
        Phase(SSBroyden(), steps=40, precision="float64", name="polish"),
    ]
    solver = Decay()
    result = trainer(phases).fit(solver)
    assert [(r.name, r.steps, r.stop_reason) for r in result.phases] == [
        ("Adam", 25, "step budget of 25 reached"),
        ("polish", 40, "step budget of 40 reached"),
    ]
    assert (result.steps, result.stop_reason) == (65, "step budget of 40 reached")
    assert solver.dtype == torch.float64
    history = result.history
    assert history.columns == [
        "step", "phase", "seconds", "loss", "loss/decay", "loss/initial_u",
        "weight/decay", "weight/initial_u", "error/u",
    ]  # fmt: skip
    assert history["step"].tolist() == [1, 10, 20, 25, *range(26, 66)]  # a quasi-Newton method knows its loss anyway
    assert history["loss"][-1] < 1e-5 < history["loss"][3]
    total = history["weight/decay"] * history["loss/decay"] + history["weight/initial_u"] * history["loss/initial_u"]
    assert total == pytest.approx(history["loss"], rel=1e-5)
    assert history["error/u"][-1] == solver.errors()["u"] < 1e-2
    assert result.solution.solver is solver


def test_the_objective_is_the_weighted_sum_of_mean_squares():
    solver = Decay()
    objective = ResidualObjective(solver)
    batch = solver.sample(torch.Generator().manual_seed(1))
    residuals = {name: r.detach() for name, r in solver.residuals(batch).items()}
    pointwise = torch.linspace(0, 1, 16, dtype=torch.float64)
    objective.set_points(batch)
    objective.set_weights({"decay": pointwise, "initial_u": torch.tensor(5.0)})
    expected = (pointwise * residuals["decay"] ** 2).mean() + 5 * (residuals["initial_u"] ** 2).mean()
    torch.testing.assert_close(objective.loss().detach(), expected)
    torch.testing.assert_close(objective.residual_vector().square().sum().detach(), expected)

    shifted = {name: p.detach() + 0.1 for name, p in zip(objective.names, objective.parameters, strict=True)}
    elsewhere = objective.residual_vector(shifted)
    solver.load_state_dict({**solver.state_dict(), **shifted})
    torch.testing.assert_close(elsewhere, objective.residual_vector())


def test_the_objective_counts_its_changes():
    solver = Decay()
    objective = ResidualObjective(solver)
    batch = solver.sample(torch.Generator())
    versions = []
    for points in (batch, batch, solver.sample(torch.Generator())):
        objective.set_points(points)
        versions.append(objective.version)
    objective.set_weights({})
    assert [*versions, objective.version] == [1, 1, 2, 3]


@pytest.mark.parametrize("weighting", [None, Fixed({"initial_u": 10.0}), GradientAnnealing(period=2), Causal()])
def test_a_first_order_step_evaluates_the_residuals_once(weighting):
    solver = Decay()
    trainer([Phase(Adam(), steps=12, weighting=weighting)]).fit(solver)
    assert solver.evaluations == 12


@pytest.mark.parametrize("weighting", [None, Fixed({"initial_u": 10.0})])
def test_a_quasi_newton_step_carries_its_last_gradient(weighting):
    solver = Decay()
    result = trainer([Phase(LBFGS(), steps=30, weighting=weighting)]).fit(solver)
    assert result.steps == 30
    assert solver.evaluations <= 45  # one a step, and a few for the first ones


def test_a_quasi_newton_method_sees_new_points():
    """Uniform(every=10) changes the function; a gradient carried over would belong to other points."""
    losses = []
    for sampler in (FixedPoints(), Uniform(every=10)):
        solver = Decay()
        losses.append(trainer([Phase(LBFGS(), steps=11, sampler=sampler)]).fit(solver).history["loss"])
    assert losses[0][:10].tolist() == losses[1][:10].tolist()
    assert losses[0][10] != losses[1][10]


def test_learned_weights_stay_in_a_phase_without_weighting():
    phases = [Phase(Adam(1e-2), steps=20, weighting=GradientAnnealing()), Phase(LBFGS(), steps=3)]
    history = trainer(phases).fit(Decay()).history
    assert history["weight/initial_u"][-1] == history["weight/initial_u"][-4] > 1


def test_pointwise_weights_continue_as_their_mean():
    phases = [Phase(Adam(1e-2), steps=5, weighting=Causal()), Phase(LBFGS(), steps=3)]
    history = trainer(phases).fit(Decay()).history
    assert history["weight/decay"][-1] == pytest.approx(history["weight/decay"][-4])
    assert history["weight/decay"][-1] < 1


def test_a_method_that_has_converged_ends_its_phase_only():
    phases = [Phase(LBFGS(gradient_tolerance=1e-3), steps=500), Phase(Adam(), steps=7)]
    first, second = trainer(phases).fit(Decay()).phases
    assert first.stop_reason.startswith("gradient below tolerance") and first.steps < 500
    assert second.steps == 7


def test_the_schedule_scales_the_learning_rate():
    rates = []

    class Watch(Callback):
        def on_step(self, run):
            rates.append(run.optimiser.state_dict()["param_groups"][0]["lr"])

    phase = Phase(Torch(lambda p: torch.optim.SGD(p, lr=0.1)), steps=4, schedule=ExponentialDecay(0.5, 2))
    trainer([phase], callbacks=[Watch()]).fit(Decay())
    assert rates == pytest.approx([0.1 * 0.5 ** (step / 2) for step in range(4)])


def test_a_fit_leaves_nothing_behind():
    """Not in the trainer's own phases, whose weightings and samplers learn, and not in PyTorch's generator."""
    phases = [Phase(Adam(1e-2), steps=20, weighting=GradientAnnealing(), sampler=Uniform(every=3))]
    fitter = trainer(phases)
    first, second, third = Decay(), Decay(), Decay()
    state = torch.get_rng_state()
    fitter.fit(first)
    fitter.fit(second)
    assert torch.equal(weights(first), weights(second))
    assert torch.equal(torch.get_rng_state(), state)
    trainer(phases, seed=1).fit(third)
    assert not torch.equal(weights(first), weights(third))


def test_frozen_parameters_stay():
    solver = Decay()
    solver.network[0].weight.requires_grad_(False)
    before = solver.network[0].weight.clone()
    trainer([Phase(Adam(1e-2), steps=5, weighting=GradientAnnealing()), Phase(LBFGS(), steps=3)]).fit(solver)
    assert torch.equal(solver.network[0].weight, before)


def test_a_loss_that_is_not_finite_ends_the_run_at_the_last_sound_weights(tmp_path):
    solver, seen = Decay(spoil_after=45), {}

    class Watch(Callback):
        def on_step(self, run):
            seen[run.step] = weights(solver)

    phases = [Phase(Adam(1e-3), steps=100), Phase(Adam(), steps=5)]
    result = trainer(phases, callbacks=[Watch()], folder=tmp_path).fit(solver)
    assert result.stop_reason.startswith("the loss became nan") and result.steps == 50
    restored = [step for step, known in seen.items() if torch.equal(known, weights(solver))]
    assert f"weights of step {restored[0]} are restored" in result.stop_reason
    assert restored[0] >= 20
    assert torch.isfinite(torch.tensor(result.history["loss"])).all()
    kept = torch.load(tmp_path / "checkpoint" / "state.pt", weights_only=True)
    assert kept["step"] == 40 and all(value.isfinite().all() for value in kept["solver"].values())


def test_a_loss_that_explodes_ends_the_run():
    solver = Decay(dtype=torch.float32)
    result = trainer([Phase(Torch(lambda p: torch.optim.SGD(p, lr=50.0)), steps=1000)], log_every=2).fit(solver)
    assert result.stop_reason.startswith("the loss rose from")
    assert "try a smaller learning rate, or precision='float64'" in result.stop_reason
    assert result.steps < 1000 and weights(solver).abs().max() < 1e4


def test_a_first_loss_that_is_not_finite_is_an_error():
    with pytest.raises(DivergenceError, match=r"the loss is nan before anything was learned \(in decay\)"):
        trainer([Phase(Adam(), steps=10)]).fit(Decay(spoil_after=0))


@pytest.mark.parametrize(("on", "column"), [("loss", "loss"), ("relative_l2", "error/u")])
def test_early_stopping(on, column):
    phases = [Phase(LBFGS(), steps=500), Phase(Adam(), steps=5)]
    result = trainer(phases, callbacks=[EarlyStopping(1e-3, on)]).fit(Decay())
    assert "reached the target 0.001" in result.stop_reason and len(result.phases) == 1
    assert result.history[column][-1] <= 1e-3


def test_early_stopping_names_its_choices():
    with pytest.raises(InputError, match="relative_l2"):
        EarlyStopping(1e-3, on="relative_l1")


def test_ctrl_c_ends_the_run_cleanly(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    interrupt = At(12, lambda run: os.kill(os.getpid(), signal.SIGINT))
    result = trainer([Phase(Adam(), steps=1000)], callbacks=[interrupt], folder=tmp_path).fit(Decay())
    assert result.stop_reason == "interrupted by the user" and result.steps == 13
    assert (tmp_path / "checkpoint" / "state.pt").exists()
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_ctrl_c_aborts():
    def twice(run):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        trainer([Phase(Adam(), steps=1000)], callbacks=[At(12, twice)]).fit(Decay())


def test_a_keyboard_interrupt_in_a_callback_is_a_ctrl_c():
    def interrupt(run):
        raise KeyboardInterrupt

    result = trainer([Phase(Adam(), steps=1000)], callbacks=[At(12, interrupt)]).fit(Decay())
    assert (result.stop_reason, result.steps) == ("interrupted by the user", 12)


def test_time_budgets_of_a_phase_and_of_the_run():
    result = trainer([Phase(Adam(), seconds=0.05), Phase(Adam(), steps=3)]).fit(Decay())
    assert result.phases[0].stop_reason == "time budget of 0.05 s reached" and result.phases[1].steps == 3
    result = trainer([Phase(Adam()), Phase(Adam(), steps=3)], seconds=0.05).fit(Decay())
    assert result.stop_reason == "time budget of 0.05 s reached" and len(result.phases) == 1


@pytest.mark.parametrize("budget", [{"phase": 1e-9}, {"run": 1e-9}])
def test_no_time_is_too_short_for_a_single_step(budget):
    result = trainer([Phase(Adam(), seconds=budget.get("phase"))], seconds=budget.get("run")).fit(Decay())
    assert (result.steps, len(result.history)) == (1, 1) and result.stop_reason.startswith("time budget")


def test_callbacks_are_called_in_order():
    calls = []

    class Watch(Callback):
        pass

    for event in ("on_fit_start", "on_phase_start", "on_step", "on_evaluate", "on_phase_end", "on_fit_end"):
        setattr(Watch, event, lambda self, run, event=event: calls.append(event))
    trainer([Phase(Adam(), steps=2), Phase(Adam(), steps=1)], callbacks=[Watch()]).fit(Decay())
    phase = ["on_phase_start", "on_step", "on_evaluate", "on_step", "on_phase_end"]
    assert calls == ["on_fit_start", *phase, "on_phase_start", "on_evaluate", "on_step", "on_phase_end", "on_fit_end"]


def test_steps_of_all_phases_are_limited_together():
    result = trainer([Phase(Adam(), steps=4), Phase(Adam())], steps=6).fit(Decay())
    assert [report.steps for report in result.phases] == [4, 2]
    assert result.steps == 6 and result.stop_reason == "step budget of 6 reached"


def test_compile_evaluates_through_the_compiler(monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda function: compiled.append(function) or function)
    solver = Decay()
    trainer([Phase(Adam(), steps=1, compile=True)]).fit(solver)
    assert compiled == [solver.residuals]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Trainer([]), "at least one Phase"),
        (lambda: Trainer([Adam()]), "wrap it: Phase"),
        (lambda: Trainer([Phase(Adam())]), "would never end"),
        (lambda: Trainer([Phase(Adam(), steps=1)], seconds=-1), "seconds=-1"),
        (lambda: Trainer([Phase(Adam(), steps=1)], steps=0), "steps=0"),
        (lambda: Phase(torch.optim.Adam), "no build"),
        (lambda: Phase(Adam(), steps=0), "steps=0"),
        (lambda: Phase(Adam(), precision="float23"), "float32, float64"),
        (lambda: Every(), "either steps or seconds"),
        (lambda: Every(steps=1, seconds=1), "either steps or seconds"),
    ],
)
def test_bad_settings_are_refused(make, text):
    with pytest.raises(InputError, match=text):
        make()


def test_what_a_later_phase_cannot_do_is_refused_at_the_start():
    solver = Decay()
    phases = [Phase(Adam(), steps=5), Phase(LBFGS(), steps=5, schedule=ExponentialDecay())]
    with pytest.raises(InputError, match="LBFGS has no learning rate"):
        trainer(phases).fit(solver)
    assert solver.evaluations == 0


def test_nothing_to_train_is_refused():
    solver = Decay()
    solver.requires_grad_(False)
    with pytest.raises(InputError, match="nothing to train"):
        trainer([Phase(Adam(), steps=5)]).fit(solver)


class Moduli(Decay):
    term_powers = {"decay": 1}  # noqa: RUF012


def test_a_term_may_be_a_mean_of_moduli():
    solver = Moduli()
    objective = ResidualObjective(solver)
    batch = solver.sample(torch.Generator().manual_seed(1))
    residuals = solver.residuals(batch)
    objective.set_points(batch)
    objective.set_weights({"decay": torch.tensor(3.0)})
    expected = 3 * residuals["decay"].abs().mean() + residuals["initial_u"].square().mean()
    torch.testing.assert_close(objective.loss(), expected)
    assert objective.mean_squares()["decay"] == pytest.approx(float(residuals["decay"].detach().abs().mean()))
    with pytest.raises(InputError, match="the loss of 'decay' is no mean square"):
        objective.residual_vector()


class Seen(Decay):
    """Remembers the type that its layers compute in."""

    def residuals(self, batch):
        self.seen = self.network(batch["initial_u"].coordinates).dtype
        return {name: value.to(self.dtype) for name, value in super().residuals(batch).items()}


@pytest.mark.parametrize("name", ["bfloat16", "float16"])
def test_mixed_precision_keeps_the_weights_in_single(name):
    solver = Seen()
    phase = Phase(AdamW(1e-2, loss_scaling=name == "float16"), steps=20, precision=f"{name}-mixed")
    losses = trainer([phase]).fit(solver).history["loss"]
    assert solver.seen is getattr(torch, name) and solver.dtype is torch.float32
    assert losses[-1] < losses[0]


def test_half_precision_needs_a_scaled_loss():
    with pytest.raises(InputError, match="loss_scaling=True"):
        Phase(AdamW(1e-3), precision="float16-mixed")


def test_a_schedule_over_the_budget_sees_the_share_that_is_spent():
    class Told(BudgetSchedule):
        def __init__(self):
            self.shares = []

        def __call__(self, share):
            self.shares.append(share)
            return 1.0

        def __deepcopy__(self, memo):
            return self

    by_steps, by_seconds, by_trainer = Told(), Told(), Told()
    trainer([Phase(Adam(1e-3), steps=4, schedule=by_steps)]).fit(Decay())
    assert by_steps.shares == [0, 0.25, 0.5, 0.75]
    trainer([Phase(Adam(1e-3), seconds=0.3, schedule=by_seconds)]).fit(Decay())
    trainer([Phase(Adam(1e-3), schedule=by_trainer)], seconds=0.3).fit(Decay())
    for shares in (by_seconds.shares, by_trainer.shares):
        assert shares == sorted(shares) and shares[0] < 0.3 and 0.5 < shares[-1] <= 1
