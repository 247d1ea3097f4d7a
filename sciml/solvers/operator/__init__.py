"""Neural operators: a network on grids with its normalisation, and how it learns from trajectories."""

from sciml.solvers.operator.grid_operator import GridOperator as GridOperator
from sciml.solvers.operator.signature import Signature as Signature
from sciml.solvers.operator.solver import NeuralOperator as NeuralOperator

__all__ = ["GridOperator", "NeuralOperator", "Signature"]
