"""Solids from planar cross-sections: reading, reconstruction, surfaces and metrics."""

from sciml.shapes.cross_sections import CrossSections as CrossSections
from sciml.shapes.cut import load_mesh as load_mesh
from sciml.shapes.cut import slice_mesh as slice_mesh
from sciml.shapes.formats import read_contour as read_contour
from sciml.shapes.formats import read_csl as read_csl
from sciml.shapes.formats import read_mask as read_mask
from sciml.shapes.formats import read_rtstruct as read_rtstruct
from sciml.shapes.formats import write_csl as write_csl
from sciml.shapes.metrics import dice as dice
from sciml.shapes.metrics import euler_characteristic as euler_characteristic
from sciml.shapes.metrics import iou as iou
from sciml.shapes.metrics import slice_iou as slice_iou
from sciml.shapes.metrics import surface_distances as surface_distances
from sciml.shapes.picture import plot_shape as plot_shape
from sciml.shapes.ply import write_ply as write_ply
from sciml.shapes.read import is_mesh as is_mesh
from sciml.shapes.read import read_slices as read_slices
from sciml.shapes.reconstruct import choose as choose
from sciml.shapes.reconstruct import reconstruct as reconstruct
from sciml.shapes.shape import Shape as Shape
from sciml.shapes.slices import Contour as Contour
from sciml.shapes.slices import Plane as Plane
from sciml.shapes.slices import Slices as Slices
from sciml.shapes.viewer import write_viewer as write_viewer

__all__ = [
    "Contour",
    "CrossSections",
    "Plane",
    "Shape",
    "Slices",
    "choose",
    "dice",
    "euler_characteristic",
    "iou",
    "is_mesh",
    "load_mesh",
    "plot_shape",
    "read_contour",
    "read_csl",
    "read_mask",
    "read_rtstruct",
    "read_slices",
    "reconstruct",
    "slice_iou",
    "slice_mesh",
    "surface_distances",
    "write_csl",
    "write_ply",
    "write_viewer",
]
