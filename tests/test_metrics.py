"""The figures from their definitions."""

from __future__ import annotations

import math

import pytest
import torch

from sciml import metrics
from sciml.errors import InputError

GROUPS = ("pressure", "velocity", "velocity")


@pytest.fixture
def fields():
    return torch.randn(2, 4, 3, 3, 8, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_relative_errors_by_group(fields):
    computed, true = fields
    l1, l2 = metrics.relative_l1(computed, true, GROUPS), metrics.relative_l2(computed, true, GROUPS)
    assert l1.shape == l2.shape == (4, 3, 2)
    for group, channels in enumerate(([0], [1, 2])):
        error, size = (computed - true)[2, 1, channels], true[2, 1, channels]
        assert l1[2, 1, group] == pytest.approx(float(error.abs().sum() / size.abs().sum()))
        assert l2[2, 1, group] == pytest.approx(float((error**2).sum().sqrt() / (size**2).sum().sqrt()))


def test_predicting_the_mean_scores_one(fields):
    true = fields[0]
    mean = true.mean((-2, -1), keepdim=True).expand_as(true)
    torch.testing.assert_close(metrics.vrmse(mean, true), torch.ones(4, 3, 3, dtype=torch.float64), rtol=1e-6, atol=0)


@pytest.mark.parametrize("grid", [(16, 12), (16,)])
def test_a_wave_is_in_the_shell_of_its_number(grid):
    i = torch.arange(grid[0], dtype=torch.float64) * 2 * math.pi / grid[0]
    j = torch.arange(grid[-1], dtype=torch.float64) * 2 * math.pi / grid[-1]
    wave = torch.cos(3 * i[:, None] + 4 * j) if len(grid) == 2 else torch.cos(5 * i)
    energy = metrics.spectrum(wave[None, None, None])[0, 0]
    assert energy.shape == (min(grid) // 2 + 1,)
    assert energy[5] == pytest.approx(0.5) and energy.sum() == pytest.approx(0.5)
    error = metrics.spectrum_error(1.1 * wave[None, None, None], wave[None, None, None])[0, 0]
    assert error[5] == pytest.approx(0.21) and error[1] < 1e-6


def test_energy_drift(fields):
    drift = metrics.energy_drift(1.1 * fields[0], fields[0])
    torch.testing.assert_close(drift, torch.full((4, 3), 0.21, dtype=torch.float64))


def test_time_to_correlation():
    """Rotating away from the truth: the correlation is the cosine of the angle."""
    x = torch.arange(64, dtype=torch.float64) * 2 * math.pi / 64
    angles = torch.tensor([[0.1, 0.6, 0.7, 0.1], [0.1, 0.2, 0.3, 0.4], [1.0, 0.0, 0.0, 0.0]])
    true = torch.sin(x).expand(3, 4, 1, 64)
    computed = 3 + 2 * torch.sin(x + angles[:, :, None, None])
    torch.testing.assert_close(metrics.correlation(computed, true, ("u",))[..., 0], angles.cos().double())
    assert metrics.time_to_correlation(computed, true, ("u",), [1, 2, 3, 4]).tolist() == [2, 4, 0]  # arccos 0.8 is 0.64
    # a small component, wrong, of a vector that is otherwise right
    pair, small = torch.cat([true, 0.1 * true], 2), torch.cat([true, 0.1 * torch.cos(x).expand_as(true)], 2)
    assert metrics.correlation(small, pair, ("velocity",) * 2).min() > 0.98
    torch.testing.assert_close(
        metrics.correlation(small, pair, ("u", "v"))[0, 0], torch.tensor([1.0, 0.0], dtype=torch.float64), atol=1e-9, rtol=0
    )


def test_diverged_rollouts(fields):
    computed, true = fields.clone()
    computed[0, 1] = torch.nan
    computed[1, 2] *= 1e4
    computed[2] = 5 * true[2]
    assert metrics.diverged(computed, true).tolist() == [True, True, False, False]


def test_the_summary_is_the_mean_over_groups_of_medians(fields):
    computed, true = fields.clone()
    computed[0, 2] = torch.nan
    figures = metrics.rollout_figures(computed, true, GROUPS, [1, 2, 3])
    told = metrics.summary(figures)
    errors = metrics.relative_l1(computed, true, GROUPS)
    assert told["relative_l1"][:2] == pytest.approx(errors.quantile(0.5, dim=0).mean(-1)[:2].tolist())
    worst = torch.where(errors.isnan(), torch.inf, errors)[:, 2].sort(0).values
    assert told["relative_l1"][2] == pytest.approx(float(worst[1:3].mean()))
    assert told["relative_l1_mean"][0] == pytest.approx(float(errors[:, 0].mean()))
    assert told["diverged"] == 0.25 and len(told["spectrum_error"]) == 4
    assert "spectrum_error" not in metrics.rollout_figures(computed, true, GROUPS, [1, 2, 3], periodic=False)


def test_input_errors(fields):
    with pytest.raises(InputError, match="must both be"):
        metrics.vrmse(fields[0], fields[1][:, :2])
    with pytest.raises(InputError, match="2 for 3 channels"):
        metrics.relative_l1(*fields, ("a", "b"))
