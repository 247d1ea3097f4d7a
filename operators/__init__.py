"""Neural operators as plain modules: fields on a grid and a lead time in, fields out.

Every operator is called as ``operator(x, time)`` with ``x`` (B, in_channels, *grid) and ``time`` (B,), the lead time in
any unit in which it is of order one (None stands for one), and returns (B, out_channels, *grid).
"""

from operators.deeponet import DeepONet
from operators.drift_net import DRIFTNet
from operators.fno import FNO
from operators.losses import high_frequency_loss, relative_l1
from operators.scot import ScOT
from operators.spectral import fourier_resample
from operators.trunk import SIZES, Size
from operators.unet import UNet
from operators.weights import count_parameters, initialise

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
    "high_frequency_loss",
    "initialise",
    "relative_l1",
]
