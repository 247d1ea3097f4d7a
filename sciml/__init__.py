"""sciml: partial differential equations solved by physics-informed machine learning.

A problem is declared once; interchangeable solvers consume it through one trainer. Importing sciml changes no global
state: no default type, device, seed or environment variable.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "sciml.errors": ("InputError", "SciMLError", "DivergenceError"),
    "sciml.geometry": (
        "Ball", "Box", "Disk", "Domain", "Interval", "Mesh", "Polygon", "Rectangle", "Time",
    ),
    "sciml.problem": (
        "Condition", "Constraint", "Dirichlet", "Initial", "Integral", "Interface", "Neumann", "Observations",
        "Parameter", "Periodic", "Problem", "RandomProblem", "Robin", "Simulation", "check_problem",
    ),
    "sciml.nn": (
        "MLP", "FourierFeatures", "ModifiedMLP", "Normalization", "PeriodicEmbedding", "PirateNet", "Pointwise",
    ),
    "sciml.optim": (
        "LBFGS", "SOAP", "Adam", "AdamW", "CosineDecay", "ExponentialDecay", "LevenbergMarquardt", "OneCycle", "SSBroyden",
        "Torch", "least_squares",
    ),
    "sciml.losses": (
        "Causal", "Fixed", "FixedPoints", "GradientAnnealing", "GradientNorm", "NeuralTangentKernel", "ReLoBRaLo",
        "ResidualAdaptive", "RetainResampleRelease", "Uniform",
    ),
    "sciml.shapes": ("CrossSections", "Shape", "Slices", "read_slices", "reconstruct", "slice_mesh"),
    "sciml.solvers": (
        "PINN", "Experts", "GridOperator", "HardConstraintMoE", "Lagrangian", "NeuralField", "NeuralOperator", "SoftConstraint",
        "Solver",
    ),
    "sciml.training": ("Callback", "CSVLogger", "EarlyStopping", "Epochs", "Phase", "Result", "TensorBoardLogger", "Trainer"),
    "sciml.solution": ("Solution",),
    "sciml.api": ("load", "solve"),
    "sciml.neural_operator": ("load_operator", "train"),
}  # fmt: skip
_MODULE = {name: module for module, names in _HOME.items() for name in names}

__all__ = ["__version__", *sorted(_MODULE)]


def __getattr__(name: str) -> Any:
    """Import a public name on first use: ``import sciml`` itself stays light."""
    if name not in _MODULE:
        raise AttributeError(f"module 'sciml' has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
