"""Optimisation methods: configurations to build from, and what they build."""

from sciml.optim.first_order import Adam, FirstOrder, Torch
from sciml.optim.lbfgs import LBFGS
from sciml.optim.optimiser import Configuration, Objective, Optimiser, Step
from sciml.optim.schedule import CosineDecay, ExponentialDecay, Schedule, WarmUp
from sciml.optim.soap import SOAP
from sciml.optim.ss_broyden import SSBFGS, SSBroyden

__all__ = [
    "LBFGS",
    "SOAP",
    "SSBFGS",
    "Adam",
    "Configuration",
    "CosineDecay",
    "ExponentialDecay",
    "FirstOrder",
    "Objective",
    "Optimiser",
    "SSBroyden",
    "Schedule",
    "Step",
    "Torch",
    "WarmUp",
]
