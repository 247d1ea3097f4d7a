"""Shapes, products with time and Boolean combinations: membership, signed distance and sampling, in torch."""

from sciml.geometry.ball import Ball as Ball
from sciml.geometry.ball import Disk as Disk
from sciml.geometry.combination import Combination as Combination
from sciml.geometry.corners import Corner as Corner
from sciml.geometry.domain import BoundarySample as BoundarySample
from sciml.geometry.domain import Domain as Domain
from sciml.geometry.interval import Interval as Interval
from sciml.geometry.interval import Time as Time
from sciml.geometry.mesh import Mesh as Mesh
from sciml.geometry.polygon import Polygon as Polygon
from sciml.geometry.product import Box as Box
from sciml.geometry.product import Product as Product
from sciml.geometry.product import Rectangle as Rectangle

__all__ = [
    "Ball",
    "BoundarySample",
    "Box",
    "Combination",
    "Corner",
    "Disk",
    "Domain",
    "Interval",
    "Mesh",
    "Polygon",
    "Product",
    "Rectangle",
    "Time",
]
