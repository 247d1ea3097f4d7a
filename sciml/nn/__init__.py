"""Networks and embeddings of coordinates; no equation in here.

Every ``forward`` is plain torch code on the last dimension, so that it accepts a tensor or a ``sciml.jets.JetTensor``.
"""

from sciml.nn.activation import Sine as Sine
from sciml.nn.embedding import FourierFeatures as FourierFeatures
from sciml.nn.embedding import Normalization as Normalization
from sciml.nn.embedding import PeriodicEmbedding as PeriodicEmbedding
from sciml.nn.embedding import coordinate_embedding as coordinate_embedding
from sciml.nn.encoding import FeatureGrids as FeatureGrids
from sciml.nn.encoding import LearnedFrequencies as LearnedFrequencies
from sciml.nn.iterated import IteratedNetwork as IteratedNetwork
from sciml.nn.linear import RandomWeightFactorization as RandomWeightFactorization
from sciml.nn.linear import glorot_linear as glorot_linear
from sciml.nn.mlp import MLP as MLP
from sciml.nn.mlp import ModifiedMLP as ModifiedMLP
from sciml.nn.pirate import PirateNet as PirateNet
from sciml.nn.pointwise import Pointwise as Pointwise

__all__ = [
    "MLP",
    "FeatureGrids",
    "FourierFeatures",
    "IteratedNetwork",
    "LearnedFrequencies",
    "ModifiedMLP",
    "Normalization",
    "PeriodicEmbedding",
    "PirateNet",
    "Pointwise",
    "RandomWeightFactorization",
    "Sine",
    "coordinate_embedding",
    "glorot_linear",
]
