"""Optimisation methods: configurations to build from, and what they build."""

from sciml.optim.first_order import Adam, AdamW, FirstOrder, Torch
from sciml.optim.implicit import differentiate_optimum
from sciml.optim.lbfgs import LBFGS
from sciml.optim.least_squares import LeastSquaresResult, least_squares
from sciml.optim.levenberg_marquardt import LevenbergMarquardt
from sciml.optim.linear import LinearSolution, linear_least_squares
from sciml.optim.optimiser import Configuration, Objective, Optimiser, Step
from sciml.optim.schedule import BudgetSchedule, CosineDecay, ExponentialDecay, OneCycle, Schedule, WarmUp
from sciml.optim.soap import SOAP
from sciml.optim.ss_broyden import SSBFGS, SSBroyden

__all__ = [
    "LBFGS",
    "SOAP",
    "SSBFGS",
    "Adam",
    "AdamW",
    "BudgetSchedule",
    "Configuration",
    "CosineDecay",
    "ExponentialDecay",
    "FirstOrder",
    "LeastSquaresResult",
    "LevenbergMarquardt",
    "LinearSolution",
    "Objective",
    "OneCycle",
    "Optimiser",
    "SSBroyden",
    "Schedule",
    "Step",
    "Torch",
    "WarmUp",
    "differentiate_optimum",
    "least_squares",
    "linear_least_squares",
]
