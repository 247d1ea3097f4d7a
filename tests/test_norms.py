from __future__ import annotations

import math

import numpy as np
import pytest

from sciml.norms import relative_l2


def test_relative_l2():
    assert relative_l2(np.array([1.0, 2.0]), np.array([1.0, 1.0])) == pytest.approx(1 / math.sqrt(2))


def test_weights():
    assert relative_l2(np.array([1.0, 2.0]), np.array([1.0, 1.0]), np.array([3.0, 1.0])) == pytest.approx(0.5)


def test_unknown_points_do_not_count_and_nan_does():
    true = np.array([1.0, math.nan])
    assert relative_l2(np.array([1.0, 7.0]), true) == 0
    assert math.isnan(relative_l2(np.array([math.nan, 1.0]), true))


def test_nothing_is_relative_to_zero():
    assert math.isnan(relative_l2(np.ones(2), np.zeros(2)))


def test_a_constant_a_group():
    true = np.array([1.0, -1.0, 2.0, -2.0, math.nan])
    groups = np.array([0, 0, 1, 1, 2])
    shifted = true + np.array([5.0, 5.0, 7.0, 7.0, 0.0])
    assert relative_l2(shifted, true, groups=groups) == pytest.approx(0)
    assert relative_l2(2 * shifted, true, groups=groups) == pytest.approx(1)
