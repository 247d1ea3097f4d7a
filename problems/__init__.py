"""Declared problems with exact or reference solutions, one file a family."""

from problems.allen_cahn import AllenCahn as AllenCahn
from problems.allen_cahn import AllenCahnPeriodic as AllenCahnPeriodic
from problems.burgers import Burgers as Burgers
from problems.cavity import Cavity as Cavity
from problems.convection import Convection as Convection
from problems.convection import ConvectionDiffusion as ConvectionDiffusion
from problems.diffusion_reaction import DiffusionReaction as DiffusionReaction
from problems.diffusion_sorption import DiffusionSorption as DiffusionSorption
from problems.heat import Heat as Heat
from problems.helmholtz import Helmholtz as Helmholtz
from problems.inverse import InverseDiffusion as InverseDiffusion
from problems.inverse import InversePoisson as InversePoisson
from problems.kdv import KdV as KdV
from problems.klein_gordon import KleinGordon as KleinGordon
from problems.kovasznay import Kovasznay as Kovasznay
from problems.kuramoto_sivashinsky import KuramotoSivashinsky as KuramotoSivashinsky
from problems.navier_stokes import NavierStokesVorticity as NavierStokesVorticity
from problems.poisson import PoissonHoles as PoissonHoles
from problems.poisson import PoissonLShape as PoissonLShape
from problems.poisson import PoissonSquare as PoissonSquare
from problems.taylor_green import TaylorGreen as TaylorGreen
from problems.transport import BurgersPeriodic as BurgersPeriodic
from problems.transport import InflowConvection as InflowConvection
from problems.transport import Rotation as Rotation
from problems.transport import VariableConvection as VariableConvection
from problems.wave import Wave as Wave

__all__ = [
    "AllenCahn",
    "AllenCahnPeriodic",
    "Burgers",
    "BurgersPeriodic",
    "Cavity",
    "Convection",
    "ConvectionDiffusion",
    "DiffusionReaction",
    "DiffusionSorption",
    "Heat",
    "Helmholtz",
    "InflowConvection",
    "InverseDiffusion",
    "InversePoisson",
    "KdV",
    "KleinGordon",
    "Kovasznay",
    "KuramotoSivashinsky",
    "NavierStokesVorticity",
    "PoissonHoles",
    "PoissonLShape",
    "PoissonSquare",
    "Rotation",
    "TaylorGreen",
    "VariableConvection",
    "Wave",
]
