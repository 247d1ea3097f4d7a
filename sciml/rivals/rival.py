"""What a rival is, and what a run of it leaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sciml.problem import Problem


@dataclass(frozen=True)
class Outcome:
    """One run.

    Attributes:
        relative_l2: relative L2 error by field, as ``Solution.relative_l2`` measures it.
        seconds: wall-clock time of the solve, comparison with the exact solution excluded.
        note: what a reader of the figure should know.
    """

    relative_l2: Mapping[str, float]
    seconds: float
    note: str = ""


@dataclass(frozen=True)
class Rival:
    """Another way to solve any declared problem.

    Attributes:
        solve: ``solve(problem, seconds, seed) -> Outcome``; raises InputError for a problem that it cannot treat.
        random: whether the seed changes anything.
    """

    solve: Callable[[Problem, float, int], Outcome]
    random: bool
