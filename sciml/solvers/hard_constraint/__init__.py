"""Solvers whose fields live on a grid: a network proposes them, the equations are imposed as constraint or as loss."""

from sciml.solvers.hard_constraint.moe import HardConstraintMoE as HardConstraintMoE
from sciml.solvers.hard_constraint.soft import SoftConstraint as SoftConstraint
from sciml.solvers.hard_constraint.solver import GridSolver as GridSolver

__all__ = ["GridSolver", "HardConstraintMoE", "SoftConstraint"]
