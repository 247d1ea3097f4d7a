"""Solvers: interchangeable representations of the solution of a declared problem."""

from sciml.solvers.experts import Experts as Experts
from sciml.solvers.hard_constraint import HardConstraintMoE as HardConstraintMoE
from sciml.solvers.hard_constraint import SoftConstraint as SoftConstraint
from sciml.solvers.lagrangian import Lagrangian as Lagrangian
from sciml.solvers.neural_field import NeuralField as NeuralField
from sciml.solvers.operator import GridOperator as GridOperator
from sciml.solvers.operator import NeuralOperator as NeuralOperator
from sciml.solvers.pinn import PINN as PINN
from sciml.solvers.solver import Batch as Batch
from sciml.solvers.solver import Solver as Solver
from sciml.solvers.solver import Trainable as Trainable

__all__ = [
    "PINN",
    "Batch",
    "Experts",
    "GridOperator",
    "HardConstraintMoE",
    "Lagrangian",
    "NeuralField",
    "NeuralOperator",
    "SoftConstraint",
    "Solver",
    "Trainable",
]
