"""Line search for the strong Wolfe conditions (Nocedal & Wright, Numerical Optimization, algorithms 3.5 and 3.6)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

_DECREASE, _CURVATURE = 1e-4, 0.9
_NOISE = 1e-6  # relative; of losses closer than that only the slopes are compared
_NARROW = 1e-9  # relative width of an interval that holds no other step


@dataclass(frozen=True)
class Trial:
    """The loss at ``length`` along a direction, its ``slope`` there, and its gradient (n,)."""

    length: float
    loss: float
    slope: float
    gradient: Tensor


def strong_wolfe(evaluate: Callable[[float], Trial], start: Trial, length: float, evaluations: int) -> Trial | None:
    """A step of sufficient decrease and of flatter slope, first tried at ``length``.

    After ``evaluations`` without one, the best step found that decreases the loss; None without any. A loss that is
    not finite marks too long a step.
    """
    low, high, previous = start, None, start  # a minimum lies between low, the best so far, and high once it is known
    for _ in range(evaluations):
        trial = evaluate(length)
        if _accepts(start, trial):
            return trial
        if not _decreases(start, trial) or trial.loss >= low.loss:
            high = trial
        else:
            towards_high = 1.0 if high is None else high.length - low.length
            if trial.slope * towards_high >= 0:
                high = low
            previous, low = low, trial
        if high is not None and abs(high.length - low.length) <= _NARROW * low.length:
            break
        length = _beyond(previous, low) if high is None else _between(low, high)
    return None if low is start else low


def _decreases(start: Trial, trial: Trial) -> bool:
    return trial.loss <= start.loss + _DECREASE * trial.length * start.slope


def _accepts(start: Trial, trial: Trial) -> bool:
    """The strong Wolfe conditions, or near a minimum those of Hager & Zhang (2005), which rounding does not disturb."""
    if _decreases(start, trial):
        return abs(trial.slope) <= -_CURVATURE * start.slope
    level = trial.loss <= start.loss + _NOISE * abs(start.loss)
    return level and _CURVATURE * start.slope <= trial.slope <= (2 * _DECREASE - 1) * start.slope


def _between(low: Trial, high: Trial) -> float:
    """Minimum of the cubic through both, at least a tenth of the interval from its ends."""
    width = high.length - low.length
    if not math.isfinite(high.loss):
        return low.length + 0.1 * width
    fraction = (_cubic_minimum(low, high) - low.length) / width
    return low.length + min(max(fraction, 0.1), 0.9) * width


def _beyond(previous: Trial, low: Trial) -> float:
    """Minimum of the cubic through both, a little to ten times further out."""
    least = low.length + 0.01 * (low.length - previous.length)
    return min(max(_cubic_minimum(previous, low), least), 10 * low.length)


def _cubic_minimum(a: Trial, b: Trial) -> float:
    """Equation 3.59; the middle where the cubic has no minimum."""
    first = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.length - b.length)
    square = first**2 - a.slope * b.slope
    if square >= 0:
        second = math.copysign(math.sqrt(square), b.length - a.length)
        divisor = b.slope - a.slope + 2 * second
        if divisor != 0:
            return b.length - (b.length - a.length) * (b.slope + second - first) / divisor
    return (a.length + b.length) / 2
