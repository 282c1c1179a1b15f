"""The prostate: an outline of varied size and shape, two zones, nodules, lesions and a capsule."""

from dataclasses import dataclass

import numpy as np

from data_prep.phantom.fields import Grid, ellipsoid, inside, paint, shell


@dataclass(frozen=True)
class Gland:
    """One patient's prostate.

    Attributes:
        x_mm, y_mm, z_mm: centre of the prostate.
        radii_mm: half of the width, depth and height.
        squareness: exponent of the superellipse in the axial plane; 2 gives an ellipse.
        taper: how much narrower the apex is than the base.
        hollow_mm: depth of the dent that the rectum makes in the back.
        harmonics: (amplitude, phase) of the outline's second to fifth harmonic.
        growth: share of the depth that the central gland takes; hyperplasia makes it larger.
        peripheral_zone: signal of the healthy peripheral zone.
    """

    x_mm: float
    y_mm: float
    z_mm: float
    radii_mm: tuple[float, float, float]
    squareness: float
    taper: float
    hollow_mm: float
    harmonics: list[tuple[float, float]]
    growth: float
    peripheral_zone: float

    @classmethod
    def draw(cls, rng: np.random.Generator, endorectal: bool, peripheral_zone: float) -> "Gland":
        """Draw a random gland of 20 to 90 ml.

        The balloon of an endorectal coil makes the gland flatter and dents its back.
        """
        size = rng.uniform(0.85, 1.2)
        flat = 0.85 if endorectal else 1.0
        radii = (
            size * rng.uniform(23, 27) / flat**0.5,
            size * rng.uniform(17, 21) * flat,
            min(size * rng.uniform(18, 21), 21.5),
        )
        return cls(
            x_mm=rng.normal(0, 1.5),
            y_mm=rng.normal(-6 if endorectal else -2, 2),
            z_mm=rng.normal(-1, 1),
            radii_mm=radii,
            squareness=rng.uniform(2.0, 2.7),
            taper=rng.uniform(0.1, 0.35),
            hollow_mm=rng.uniform(3, 6) if endorectal else rng.uniform(0, 4),
            harmonics=[(rng.normal(0, size), rng.uniform(0, 2 * np.pi)) for size in (0.03, 0.03, 0.02, 0.015)],
            growth=rng.uniform(0.55, 0.8),
            peripheral_zone=peripheral_zone + rng.normal(0, 0.05),
        )

    @property
    def back_mm(self) -> float:
        """y of the middle of the gland's posterior surface."""
        return self.y_mm + self.radii_mm[1] - self.hollow_mm

    def distance(self, space: tuple) -> tuple[np.ndarray, tuple]:
        """Approximate signed distance in mm to the surface (H, W, D), negative inside.

        The second result is each point divided by the radii.
        """
        x, y, z = space
        width, depth, height = self.radii_mm
        t = (z - self.z_mm) / height
        narrowing = 1 + self.taper * (np.clip(t, -1, 1) - 0.2)
        u = (x - self.x_mm) / (width * narrowing)
        v = (y - self.y_mm) / (depth * narrowing)
        v = v * (1 + np.where(v > 0, self.hollow_mm / depth * np.exp(-((u / 0.45) ** 2)), 0))
        angle = np.arctan2(v, u)
        outline = 1 + sum(a * np.cos((k + 2) * angle + phase) for k, (a, phase) in enumerate(self.harmonics))
        power = self.squareness
        radius = (np.abs(u / outline) ** power + np.abs(v / outline) ** power + np.abs(t) ** power) ** (1 / power)
        return (radius - 1) * min(width, depth), (u, v, t)

    def paint_into(self, signal: np.ndarray, grid: Grid, space: tuple, rng: np.random.Generator) -> np.ndarray:
        """Paint the gland into ``signal`` in place; return its mask (H, W, D)."""
        distance, (u, v, t) = self.distance(space)
        grain = grid.noise(rng, 2.5, 2.5, 5)
        peripheral = self.peripheral_zone + 0.08 * grid.noise(rng, 6) + 0.05 * grain
        paint(signal, inside(distance), peripheral)

        # Hyperplastic nodules: bright and dark blobs, with dark rims where the field crosses a level.
        field = grid.noise(rng, 7, 7, 9)
        nodules = 0.40 + 0.15 * np.tanh(1.5 * field) - 0.12 * np.exp(-(((field - 0.6) / 0.18) ** 2)) + 0.04 * grain
        central_v = v + 1 - self.growth
        central = (np.sqrt((u / 0.78) ** 2 + (central_v / self.growth) ** 2 + (t / 1.05) ** 2) - 1) * 12
        central_weight = inside(central, 2.5) * inside(-10 * (t + 0.75), 4) * inside(distance)
        paint(signal, central_weight, nodules)
        paint(signal, shell(central, 1.2) * inside(distance + 1) * 0.5, 0.24)

        stroma = inside((np.sqrt((u / 0.4) ** 2 + ((v + 0.95) / 0.4) ** 2) - 1) * 8, 5)
        paint(signal, stroma * inside(distance), 0.2)
        urethra = inside((np.hypot(u, v + 0.1) - 0.1) * 15, 2) * inside(distance + 3)
        paint(signal, urethra * inside(10 * t, 5), 0.7)
        for _ in range(rng.integers(0, 4)):
            side = int(rng.choice([-1, 1]))
            centre = (
                self.x_mm + side * self.radii_mm[0] * rng.uniform(0.25, 0.75),
                self.y_mm + self.radii_mm[1] * rng.uniform(0.3, 0.65),
                self.z_mm + self.radii_mm[2] * rng.uniform(-0.6, 0.5),
            )
            lesion = ellipsoid(*space, centre, (rng.uniform(3, 8), rng.uniform(3, 5), rng.uniform(4, 8)), side * -30)
            paint(signal, inside(lesion, 3) * inside(distance), rng.uniform(0.26, 0.38))
        paint(signal, shell(distance, 1.3) * rng.uniform(0.4, 0.8), 0.18)
        return np.broadcast_to(distance < 0, grid.shape)
