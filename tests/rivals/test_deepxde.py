from __future__ import annotations

import json
import math
import os
import subprocess
import sys

import pytest

from problems import Heat, InverseDiffusion
from sciml.errors import InputError
from sciml.rivals import RIVALS

# What DeepXDE computes for a problem with its own geometry, conditions and derivatives, beside the translation.
COMPARED = """
import json, math, sys
import numpy as np, torch
from problems import Heat
from sciml.problem import INTERIOR, sample_batch
from sciml.rivals.translation import Translation
import deepxde as dde

problem = Heat()
conditions = problem.named_conditions()
sizes = {INTERIOR: 50} | dict.fromkeys(conditions, 20)
batch = sample_batch(problem, conditions, sizes, torch.Generator().manual_seed(0), dtype=torch.float32)
space = dde.geometry.GeometryXTime(dde.geometry.Interval(0, 1), dde.geometry.TimeDomain(0, 1))

def equation(x, u):
    return dde.grad.jacobian(u, x, i=0, j=1) - problem.diffusivity * dde.grad.hessian(u, x, i=0, j=0)

class Given:
    def collocation_points(self, X):
        return self.points

class Edge(Given, dde.icbc.DirichletBC): pass
class Start(Given, dde.icbc.IC): pass
edge = Edge(space, lambda x: 0, lambda _, on: on)
start = Start(space, lambda x: np.sin(math.pi * x[:, 0:1]), lambda _, on: on)
theirs = {"dirichlet_u": edge, "initial_u": start}
for name, condition in theirs.items():
    condition.points = batch[name].coordinates.numpy()
translation = Translation(problem, batch, {})
network = dde.nn.FNN([2, 10, 1], "tanh", "Glorot normal")
losses = []
for pde, conditions in ((equation, [theirs[name] for name in conditions]), (translation.equations, translation.conditions())):
    data = dde.data.PDE(space, pde, conditions, anchors=batch[INTERIOR].coordinates.numpy())
    model = dde.Model(data, network)
    model.compile("adam", lr=1e-3, verbose=0)
    losses.append([float(x) for x in model._outputs_losses(True, data.train_x, None, None)[1]])
print(json.dumps(losses))
"""


# Conditions with images, and with several terms: their mean squares for given fields.
CONDITIONS = """
import json, math
import numpy as np, torch
from problems import Convection, Wave
from sciml.problem import INTERIOR, sample_batch
from sciml.rivals.translation import Translation

def mean_squares(problem, field):
    conditions = problem.named_conditions()
    sizes = {INTERIOR: 5} | dict.fromkeys(conditions, 20)
    batch = sample_batch(problem, conditions, sizes, torch.Generator().manual_seed(0))
    imposed = Translation(problem, batch, {}).conditions()
    points = [condition.collocation_points(None) for condition in imposed]
    inputs = torch.tensor(np.vstack(points)).requires_grad_()
    outputs = field(*inputs.unbind(1))[:, None]
    ends = np.cumsum([0, *map(len, points)])
    errors = [c.error(None, inputs, outputs, a, b) for c, a, b in zip(imposed, ends[:-1], ends[1:])]
    return dict(zip(conditions, [float(e.square().mean()) for e in errors]))

convection, wave = Convection(), Wave()
print(json.dumps([
    mean_squares(convection, lambda x, t: convection.exact(x, t)["u"]),
    mean_squares(convection, lambda x, t: x),
    mean_squares(wave, lambda x, t: wave.exact(x, t)["u"] + 3 * t),
]))
"""


def printed(script, root):
    environment = os.environ | {"DDE_BACKEND": "pytorch", "PYTHONPATH": str(root)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_translation_has_the_losses_of_a_hand_written_problem(pytestconfig):
    theirs, ours = printed(COMPARED, pytestconfig.rootpath)
    assert len(theirs) == 3 and ours == pytest.approx(theirs, rel=1e-4)


def test_conditions_with_images_and_with_several_terms(pytestconfig):
    exact, ramp, moving = printed(CONDITIONS, pytestconfig.rootpath)
    assert set(exact) == {"initial_u", "periodic_x"} and max(exact.values()) < 1e-20
    assert ramp["periodic_x"] == pytest.approx((2 * math.pi) ** 2)
    assert moving["initial_u_u_t"] == pytest.approx(9.0)  # the slope's, added to that of the value, zero


def test_a_run_leaves_this_process_alone(tmp_path, monkeypatch, pytestconfig):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(pytestconfig.rootpath))
    outcome = RIVALS["deepxde"].solve(InverseDiffusion(), 1.0, 0)
    assert 0 < outcome.relative_l2["u"] < 2 and outcome.seconds >= 1.0
    assert "Adam" in outcome.note and "L-BFGS" in outcome.note
    assert not (tmp_path / ".deepxde").exists()
    assert "deepxde" not in sys.modules and "DDE_BACKEND" not in os.environ


def test_a_problem_that_no_other_process_can_build():
    class Local(Heat):
        pass

    with pytest.raises(InputError, match="another process"):
        RIVALS["deepxde"].solve(Local(), 1.0, 0)
