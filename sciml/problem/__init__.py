"""The declaration language: problems, their conditions and unknown coefficients."""

from sciml.problem.boundary import Constraint as Constraint
from sciml.problem.boundary import Dirichlet as Dirichlet
from sciml.problem.boundary import Neumann as Neumann
from sciml.problem.boundary import Robin as Robin
from sciml.problem.check import check_problem as check_problem
from sciml.problem.check import exact_jets as exact_jets
from sciml.problem.condition import Condition as Condition
from sciml.problem.conditions import Initial as Initial
from sciml.problem.conditions import Integral as Integral
from sciml.problem.conditions import Interface as Interface
from sciml.problem.conditions import Observations as Observations
from sciml.problem.conditions import Periodic as Periodic
from sciml.problem.parameter import Parameter as Parameter
from sciml.problem.points import Points as Points
from sciml.problem.points import concatenate as concatenate
from sciml.problem.problem import INTERIOR as INTERIOR
from sciml.problem.problem import Problem as Problem
from sciml.problem.problem import sample_batch as sample_batch
from sciml.problem.random_problem import RandomProblem as RandomProblem
from sciml.problem.random_problem import Simulation as Simulation

__all__ = [
    "INTERIOR",
    "Condition",
    "Constraint",
    "Dirichlet",
    "Initial",
    "Integral",
    "Interface",
    "Neumann",
    "Observations",
    "Parameter",
    "Periodic",
    "Points",
    "Problem",
    "RandomProblem",
    "Robin",
    "Simulation",
    "check_problem",
    "concatenate",
    "exact_jets",
    "sample_batch",
]
