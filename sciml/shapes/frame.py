"""Coordinates within a plane, and the plane nearest to given points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Frame:
    """An origin (3,) and two orthonormal axes (2, 3) of a plane."""

    origin: np.ndarray
    axes: np.ndarray

    @staticmethod
    def across(normal: np.ndarray, origin: np.ndarray) -> Frame:
        """The frame through ``origin`` whose axes and unit ``normal`` are a right-handed system."""
        helper = np.eye(3)[np.argmin(np.abs(normal))]
        second = np.cross(normal, helper)
        second /= np.linalg.norm(second)
        return Frame(origin, np.stack([np.cross(second, normal), second]))

    def flatten(self, points: np.ndarray) -> np.ndarray:
        """In-plane coordinates (..., 2) of points (..., 3)."""
        return (points - self.origin) @ self.axes.T

    def lift(self, places: np.ndarray) -> np.ndarray:
        """Points (..., 3) at in-plane coordinates (..., 2)."""
        return self.origin + places @ self.axes


def fitted_plane(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Unit normal and offset of the plane nearest to ``points`` (N, 3) by least squares."""
    centre = points.mean(0)
    normal = np.linalg.svd(points - centre, full_matrices=False)[2][-1]
    return normal, float(normal @ centre)
