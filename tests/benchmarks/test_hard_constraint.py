"""The paper's sizes of the hard constraints fit together."""

from __future__ import annotations

import pytest

from tests.benchmarks.hard_constraint import PRESETS, build, declare


@pytest.mark.parametrize(
    "problem", ["diffusion_sorption", "later", pytest.param("navier_stokes", marks=pytest.mark.slow)]
)
def test_the_papers_sizes_can_be_built(problem):
    setting = PRESETS["paper"][problem] | {"instances": 1}
    solver = build(declare(problem, setting["duration"])[0], "MoE+", 0, setting)
    assert (solver.grid.shape, solver.bases) == (setting["shape"], setting["bases"])
