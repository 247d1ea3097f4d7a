"""Neural operators as plain modules: fields on a grid and a lead time in, fields out.

Every operator is called as ``operator(x, time)`` with ``x`` (B, in_channels, *grid) and ``time`` (B,), the lead time in
any unit in which it is of order one (None stands for one), and returns (B, out_channels, *grid).
"""

from operators.deeponet import DeepONet
from operators.drift_net import DRIFTNet
from operators.fno import FNO
from operators.scot import ScOT
from operators.trunk import SIZES, Size
from operators.unet import UNet
from operators.weights import count_parameters, initialise
from sciml.nn.spectral import fourier_resample

__all__ = [
    "FNO",
    "SIZES",
    "DRIFTNet",
    "DeepONet",
    "ScOT",
    "Size",
    "UNet",
    "count_parameters",
    "fourier_resample",
    "initialise",
]
