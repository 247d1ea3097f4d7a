"""Least-squares experts: polynomial expansions on adaptive boxes."""

from sciml.solvers.experts.error import estimate_error as estimate_error
from sciml.solvers.experts.solver import Experts as Experts

__all__ = ["Experts", "estimate_error"]
