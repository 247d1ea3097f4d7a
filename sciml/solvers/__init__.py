"""Solvers: interchangeable representations of the solution of a declared problem."""

from sciml.solvers.experts import Experts as Experts
from sciml.solvers.lagrangian import Lagrangian as Lagrangian
from sciml.solvers.neural_field import NeuralField as NeuralField
from sciml.solvers.pinn import PINN as PINN
from sciml.solvers.solver import Batch as Batch
from sciml.solvers.solver import Solver as Solver

__all__ = ["PINN", "Batch", "Experts", "Lagrangian", "NeuralField", "Solver"]
