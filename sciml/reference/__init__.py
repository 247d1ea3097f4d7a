"""Classical solvers: the truth in tests, the makers of training data, the honest rival in benchmarks."""

from sciml.reference.chebyshev import chebyshev_nodes as chebyshev_nodes
from sciml.reference.chebyshev import differentiation_matrix as differentiation_matrix
from sciml.reference.chebyshev import interpolate as interpolate
from sciml.reference.cole_hopf import cole_hopf as cole_hopf
from sciml.reference.collocation import reaction_diffusion as reaction_diffusion
from sciml.reference.exponential import etdrk4 as etdrk4
from sciml.reference.fourier import FourierGrid as FourierGrid

__all__ = [
    "FourierGrid",
    "chebyshev_nodes",
    "cole_hopf",
    "differentiation_matrix",
    "etdrk4",
    "interpolate",
    "reaction_diffusion",
]
