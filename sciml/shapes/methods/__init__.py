"""Ways to fill the space between cross-sections."""

from sciml.shapes.methods.linear import linear as linear
from sciml.shapes.methods.rbf import rbf as rbf

__all__ = ["linear", "rbf"]
