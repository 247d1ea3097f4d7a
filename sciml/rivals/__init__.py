"""Other ways to solve any declared problem, to be compared with."""

from sciml.rivals.classical import classical as _classical
from sciml.rivals.deepxde import deepxde as _deepxde
from sciml.rivals.rival import Outcome as Outcome
from sciml.rivals.rival import Rival as Rival

RIVALS: dict[str, Rival] = {"deepxde": _deepxde, "classical": _classical}
"""Every rival by name."""

__all__ = ["RIVALS", "Outcome", "Rival"]
