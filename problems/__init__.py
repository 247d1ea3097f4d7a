"""Declared problems with exact or reference solutions, one file a family."""

from problems.allen_cahn import AllenCahn as AllenCahn
from problems.allen_cahn import AllenCahnPeriodic as AllenCahnPeriodic
from problems.allen_cahn import RandomAllenCahn as RandomAllenCahn
from problems.burgers import Burgers as Burgers
from problems.burgers import RandomBurgers as RandomBurgers
from problems.cavity import Cavity as Cavity
from problems.convection import Convection as Convection
from problems.convection import ConvectionDiffusion as ConvectionDiffusion
from problems.darcy import DarcyFlow as DarcyFlow
from problems.diffusion_reaction import DiffusionReaction as DiffusionReaction
from problems.diffusion_sorption import DiffusionSorption as DiffusionSorption
from problems.euler import EulerKelvinHelmholtz as EulerKelvinHelmholtz
from problems.euler import EulerRiemann as EulerRiemann
from problems.heat import Heat as Heat
from problems.helmholtz import Helmholtz as Helmholtz
from problems.inverse import InverseDiffusion as InverseDiffusion
from problems.inverse import InversePoisson as InversePoisson
from problems.kdv import KdV as KdV
from problems.klein_gordon import KleinGordon as KleinGordon
from problems.kovasznay import Kovasznay as Kovasznay
from problems.kuramoto_sivashinsky import KuramotoSivashinsky as KuramotoSivashinsky
from problems.kuramoto_sivashinsky import RandomKuramotoSivashinsky as RandomKuramotoSivashinsky
from problems.navier_stokes import NavierStokesVorticity as NavierStokesVorticity
from problems.poisson import PoissonHoles as PoissonHoles
from problems.poisson import PoissonLShape as PoissonLShape
from problems.poisson import PoissonSquare as PoissonSquare
from problems.poisson import RandomPoisson as RandomPoisson
from problems.taylor_green import TaylorGreen as TaylorGreen
from problems.transport import BurgersPeriodic as BurgersPeriodic
from problems.transport import InflowConvection as InflowConvection
from problems.transport import Rotation as Rotation
from problems.transport import VariableConvection as VariableConvection
from problems.turbulence import KolmogorovFlow as KolmogorovFlow
from problems.turbulence import PiecewiseVortices as PiecewiseVortices
from problems.turbulence import ShearLayers as ShearLayers
from problems.turbulence import SineVorticity as SineVorticity
from problems.wave import RandomWave as RandomWave
from problems.wave import Wave as Wave

__all__ = [
    "AllenCahn",
    "AllenCahnPeriodic",
    "Burgers",
    "BurgersPeriodic",
    "Cavity",
    "Convection",
    "ConvectionDiffusion",
    "DarcyFlow",
    "DiffusionReaction",
    "DiffusionSorption",
    "EulerKelvinHelmholtz",
    "EulerRiemann",
    "Heat",
    "Helmholtz",
    "InflowConvection",
    "InverseDiffusion",
    "InversePoisson",
    "KdV",
    "KleinGordon",
    "KolmogorovFlow",
    "Kovasznay",
    "KuramotoSivashinsky",
    "NavierStokesVorticity",
    "PiecewiseVortices",
    "PoissonHoles",
    "PoissonLShape",
    "PoissonSquare",
    "RandomAllenCahn",
    "RandomBurgers",
    "RandomKuramotoSivashinsky",
    "RandomPoisson",
    "RandomWave",
    "Rotation",
    "ShearLayers",
    "SineVorticity",
    "TaylorGreen",
    "VariableConvection",
    "Wave",
]
