"""Recipes: how each solver is set up and trained for any declared problem, when the user says no more than its name."""

from sciml.recipes.experts import experts as _experts
from sciml.recipes.lagrangian import lagrangian as _lagrangian
from sciml.recipes.neural_field import neural_field as _neural_field
from sciml.recipes.operator import operator as _operator
from sciml.recipes.pinn import pinn as _pinn
from sciml.registry import Recipe
from sciml.solvers import PINN, Experts, Lagrangian, NeuralField, NeuralOperator

experts = Recipe(_experts, Experts)
lagrangian = Recipe(_lagrangian, Lagrangian)
neural_field = Recipe(_neural_field, NeuralField)
operator = Recipe(_operator, NeuralOperator)
pinn = Recipe(_pinn, PINN)

__all__ = ["experts", "lagrangian", "neural_field", "operator", "pinn"]
