"""Smooth random fields and soft shapes on a voxel grid; the anatomy is drawn with them.

Every array in this module is float32 (H, W, D) or broadcasts to this shape. Lengths are in mm. x points to the
patient's left, y to the back, z to the head; the origin is the middle of the prostate.
"""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Grid:
    """Voxel centres in mm, as three arrays that broadcast to (H, W, D)."""

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    spacing_mm: tuple[float, float, float]

    @classmethod
    def centred(cls, shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]) -> "Grid":
        axes = [
            ((np.arange(n) - (n - 1) / 2) * size).astype(np.float32) for n, size in zip(shape, spacing_mm, strict=True)
        ]
        return cls(*np.meshgrid(*axes, indexing="ij", sparse=True), spacing_mm)

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.x.shape[0], self.y.shape[1], self.z.shape[2]

    def noise(self, rng: np.random.Generator, *scale_mm: float) -> np.ndarray:
        """A smooth random field (H, W, D) with mean 0 and standard deviation 1.

        ``scale_mm`` is the grain size of the field: one number for all axes, or a number for each axis.

        The field interpolates random numbers on a coarse lattice by cubic B-splines, with one small matrix product for
        each axis.
        """
        scales = scale_mm if len(scale_mm) == 3 else scale_mm * 3
        bases = [
            _spline_basis(n, size / scale) for n, size, scale in zip(self.shape, self.spacing_mm, scales, strict=True)
        ]
        field = rng.standard_normal([basis.shape[1] for basis in bases], dtype=np.float32)
        for basis in bases:
            # Each product removes the lattice's first axis and appends an axis of voxels, so three products restore the
            # order.
            field = np.tensordot(field, basis, axes=(0, 1))
        return (field - field.mean()) / max(float(field.std()), 1e-6)


def _spline_basis(length: int, step: float) -> np.ndarray:
    """Weights (length, knots) of uniform cubic B-splines whose knots lie ``1 / step`` voxels apart."""
    position = np.arange(length, dtype=np.float32)[:, None] * min(step, 1.0)
    knots = np.arange(-1, np.ceil(position[-1, 0]) + 2, dtype=np.float32)
    distance = np.abs(position - knots)
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = np.clip(2 - distance, 0, None) ** 3 / 6
    return np.where(distance < 1, near, far).astype(np.float32)


def ellipse(x: np.ndarray, y: np.ndarray, centre: tuple, radii: tuple, tilt_degrees: float = 0.0) -> np.ndarray:
    """Roughly the signed distance in mm to an elliptic cylinder along z; negative inside."""
    cosine, sine = _turn(tilt_degrees)
    dx, dy = x - centre[0], y - centre[1]
    u = (dx * cosine + dy * sine) / radii[0]
    v = (dy * cosine - dx * sine) / radii[1]
    return (np.sqrt(u * u + v * v) - 1) * min(radii)


def ellipsoid(
    x: np.ndarray, y: np.ndarray, z: np.ndarray, centre: tuple, radii: tuple, tilt_degrees: float = 0.0
) -> np.ndarray:
    """Roughly the signed distance in mm to an ellipsoid, tilted about z; negative inside."""
    cosine, sine = _turn(tilt_degrees)
    dx, dy, dz = x - centre[0], y - centre[1], z - centre[2]
    u = (dx * cosine + dy * sine) / radii[0]
    v = (dy * cosine - dx * sine) / radii[1]
    return (np.sqrt(u * u + v * v + (dz / radii[2]) ** 2) - 1) * min(radii[:2])


def _turn(degrees: float) -> tuple[float, float]:
    # Python floats, because a NumPy float64 would turn all arrays into float64, which takes twice the time.
    return math.cos(math.radians(degrees)), math.sin(math.radians(degrees))


def inside(distance: np.ndarray, blur_mm: float = 1.2) -> np.ndarray:
    """1 inside, 0 outside, and between them a ramp of ``blur_mm``, like the partial volume of an edge.

    >>> inside(np.array([-2.0, 0.0, 2.0]))
    array([1. , 0.5, 0. ])
    """
    return np.clip(0.5 - distance / blur_mm, 0, 1)


def shell(distance: np.ndarray, thickness_mm: float, blur_mm: float = 1.2) -> np.ndarray:
    """1 in a layer of ``thickness_mm`` directly inside the surface."""
    return inside(np.abs(distance + thickness_mm / 2) - thickness_mm / 2, blur_mm)


def paint(signal: np.ndarray, weight: np.ndarray, value: np.ndarray | float) -> None:
    """Blend ``value`` into ``signal`` in place; ``weight`` (0 to 1) is the share of ``value``."""
    signal += weight * (value - signal)
