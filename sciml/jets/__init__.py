"""Jets: the value of a field with its partial derivatives, and where they come from."""

from sciml.jets.backends import autograd as autograd
from sciml.jets.backends import taylor as taylor
from sciml.jets.grid import finite_difference as finite_difference
from sciml.jets.grid import fourier as fourier
from sciml.jets.jet import Coordinate as Coordinate
from sciml.jets.jet import Field as Field
from sciml.jets.jet import Jet as Jet
from sciml.jets.jet import as_tensor as as_tensor
from sciml.jets.multi_index import MultiIndex as MultiIndex
from sciml.jets.multi_index import MultiIndexSet as MultiIndexSet
from sciml.jets.tensor import JetTensor as JetTensor
from sciml.jets.tensor import UnsupportedFunction as UnsupportedFunction
from sciml.jets.tracing import Asked as Asked
from sciml.jets.tracing import record as record

__all__ = [
    "Asked",
    "Coordinate",
    "Field",
    "Jet",
    "JetTensor",
    "MultiIndex",
    "MultiIndexSet",
    "UnsupportedFunction",
    "as_tensor",
    "autograd",
    "finite_difference",
    "fourier",
    "record",
    "taylor",
]
