"""Loss terms, how they are weighted, and where they are sampled."""

from sciml.losses.adaptive import ResidualAdaptive as ResidualAdaptive
from sciml.losses.adaptive import RetainResampleRelease as RetainResampleRelease
from sciml.losses.balancing import Balancing as Balancing
from sciml.losses.balancing import GradientAnnealing as GradientAnnealing
from sciml.losses.balancing import GradientNorm as GradientNorm
from sciml.losses.balancing import NeuralTangentKernel as NeuralTangentKernel
from sciml.losses.causal import Causal as Causal
from sciml.losses.relobralo import ReLoBRaLo as ReLoBRaLo
from sciml.losses.sampler import Batch as Batch
from sciml.losses.sampler import FixedPoints as FixedPoints
from sciml.losses.sampler import Sampler as Sampler
from sciml.losses.sampler import Uniform as Uniform
from sciml.losses.terms import Terms as Terms
from sciml.losses.terms import raised as raised
from sciml.losses.weighting import Fixed as Fixed
from sciml.losses.weighting import Product as Product
from sciml.losses.weighting import Weighting as Weighting

__all__ = [
    "Balancing",
    "Batch",
    "Causal",
    "Fixed",
    "FixedPoints",
    "GradientAnnealing",
    "GradientNorm",
    "NeuralTangentKernel",
    "Product",
    "ReLoBRaLo",
    "ResidualAdaptive",
    "RetainResampleRelease",
    "Sampler",
    "Terms",
    "Uniform",
    "Weighting",
    "raised",
]
