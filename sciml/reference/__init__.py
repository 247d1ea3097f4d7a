"""Classical solvers: the truth in tests, the makers of training data, the honest rival in benchmarks."""

from sciml.reference.cavity import CavityFlow as CavityFlow
from sciml.reference.cavity import cavity_flow as cavity_flow
from sciml.reference.chebyshev import chebyshev_nodes as chebyshev_nodes
from sciml.reference.chebyshev import differentiation_matrix as differentiation_matrix
from sciml.reference.chebyshev import interpolate as interpolate
from sciml.reference.cole_hopf import cole_hopf as cole_hopf
from sciml.reference.collocation import reaction_diffusion as reaction_diffusion
from sciml.reference.elliptic import darcy_square as darcy_square
from sciml.reference.elliptic import poisson_square as poisson_square
from sciml.reference.euler import compressible_euler as compressible_euler
from sciml.reference.exponential import etdrk4 as etdrk4
from sciml.reference.fourier import FourierGrid as FourierGrid
from sciml.reference.harmonic import BoundaryFit as BoundaryFit
from sciml.reference.harmonic import laplace_on_perforated_square as laplace_on_perforated_square
from sciml.reference.harmonic import poisson_on_l_shape as poisson_on_l_shape
from sciml.reference.periodic import solve_periodic as solve_periodic
from sciml.reference.vorticity import vorticity_flow as vorticity_flow

__all__ = [
    "BoundaryFit",
    "CavityFlow",
    "FourierGrid",
    "cavity_flow",
    "chebyshev_nodes",
    "cole_hopf",
    "compressible_euler",
    "darcy_square",
    "differentiation_matrix",
    "etdrk4",
    "interpolate",
    "laplace_on_perforated_square",
    "poisson_on_l_shape",
    "poisson_square",
    "reaction_diffusion",
    "solve_periodic",
    "vorticity_flow",
]
