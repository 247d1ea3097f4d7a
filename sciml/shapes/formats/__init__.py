"""Readers of cross-sections by file format."""

from sciml.shapes.formats.contour import read_contour as read_contour
from sciml.shapes.formats.csl import read_csl as read_csl
from sciml.shapes.formats.csl import write_csl as write_csl
from sciml.shapes.formats.mask import read_mask as read_mask
from sciml.shapes.formats.rtstruct import read_rtstruct as read_rtstruct

__all__ = ["read_contour", "read_csl", "read_mask", "read_rtstruct", "write_csl"]
