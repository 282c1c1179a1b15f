"""The T2w signal of a synthetic male pelvis around the prostate, without coil and noise.

The tissues are painted one over the other, fat first. Radii and places in mm imitate axial T2w images. Sizes, places
and textures are random for each patient, and a smooth warp keeps the outlines from being exact ellipses.
"""

import numpy as np

from data_prep.phantom.fields import Grid, ellipse, ellipsoid, inside, paint, shell
from data_prep.phantom.gland import Gland

SIDES = (-1, 1)


def draw_pelvis(
    grid: Grid, endorectal: bool, peripheral_zone: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, float]:
    """Draw one patient.

    Returns:
        Signal (H, W, D), from 0 for air to about 1 for urine; mask (H, W, D), True in the prostate; the rectum's centre
        (y in mm).
    """
    warp = [3.0 * grid.noise(rng, 28, 28, 40) for _ in range(2)]
    x = grid.x + rng.normal(0, 3) + warp[0]
    y = grid.y + rng.normal(4, 3) + warp[1]
    z = grid.z + rng.normal(0, 1.5)
    space = (x, y, z)
    gland = Gland.draw(rng, endorectal, peripheral_zone)

    signal = _fat(grid, rng)
    _muscles(signal, grid, space, rng)
    _bones(signal, grid, space, rng)
    _bladder(signal, space, gland, rng)
    _seminal_vesicles(signal, grid, space, gland, rng)
    _plexus(signal, grid, space, gland, rng)
    _levator(signal, space, gland, rng)
    rectum_y = _rectum(signal, grid, space, gland, endorectal, rng)
    mask = gland.paint_into(signal, grid, space, rng)
    _skin(signal, space, rng)
    return np.clip(signal, 0, None), mask, rectum_y


def _fat(grid: Grid, rng: np.random.Generator) -> np.ndarray:
    septa = np.exp(-((grid.noise(rng, 6, 6, 14) / 0.16) ** 2)) * np.clip(grid.noise(rng, 12), 0, 1)
    return 0.70 + 0.05 * grid.noise(rng, 14) + 0.04 * grid.noise(rng, 4) - 0.25 * septa


def _muscles(signal: np.ndarray, grid: Grid, space: tuple, rng: np.random.Generator) -> None:
    x, y, z = space
    fibre = 0.20 + 0.030 * grid.noise(rng, 12, 5, 12) + 0.035 * grid.noise(rng, 4, 4, 8)
    bundles = np.exp(-((grid.noise(rng, 22, 7, 16) / 0.12) ** 2))
    muscle = fibre + 0.28 * bundles
    for side in SIDES:
        # Gluteus maximus: two broad bands at the back, with a gap at the midline.
        depth = 50 + rng.normal(0, 2) - 0.10 * z
        band = np.maximum(depth + 0.10 * np.abs(x) - y, y - depth - 34 - 0.1 * np.abs(x))
        paint(signal, inside(np.maximum(band, 6 - side * x), 3), muscle)
        # The adductors and obturator externus lie in front of and below the pelvic wall, the hip's muscles at its side.
        paint(signal, inside(ellipsoid(x, y, z, (side * 50, -32, -24), (46, 21, 26), side * 28), 3), muscle)
        paint(signal, inside(ellipsoid(x, y, z, (side * 74, 32, -10), (24, 13, 40), side * -30), 3), muscle)
        paint(signal, inside(ellipsoid(x, y, z, (side * 80, -46, 14), (32, 17, 60), side * 20), 3), muscle)
        paint(signal, inside(ellipsoid(x, y, z, (side * 92, 20, 20), (22, 26, 60)), 3), muscle)
        # Obturator internus lines the pelvic wall.
        width = rng.uniform(10, 14)
        paint(signal, inside(ellipse(x, y, (side * (38 + width), 0), (width, 36), side * 10), 2), fibre)
    rectus = np.maximum(np.abs(y + 63 - 0.004 * x**2) - 4, np.abs(x) - 42)
    paint(signal, inside(np.maximum(rectus, 4 - z), 2), muscle)


def _bones(signal: np.ndarray, grid: Grid, space: tuple, rng: np.random.Generator) -> None:
    x, y, z = space
    marrow = rng.uniform(0.42, 0.58) + 0.03 * grid.noise(rng, 4)
    bones = [((side * 62, -30, 12), (38, 9, 14), side * -14) for side in SIDES]
    bones += [((side * 15, -44, -4), (13, 19, 22), side * 38) for side in SIDES]
    bones += [((side * 30, -24, -26), (8, 20, 12), side * 35) for side in SIDES]
    bones += [((side * 60, 30, -14), (13, 20, 26), side * 24) for side in SIDES]
    bones += [((side * 70, 8, 24), (11, 30, 22), side * 8) for side in SIDES]
    bones += [((side * 92, -8, 18), (26, 26, 27), 0) for side in SIDES]
    bones += [((0, 60, 30), (12, 6, 26), 0)]
    for centre, radii, tilt in bones:
        distance = ellipsoid(x, y, z, centre, radii, tilt)
        paint(signal, inside(distance), marrow)
        paint(signal, shell(distance, 2.2), 0.07)
    for side in SIDES:
        vessel = (side * rng.uniform(50, 58), rng.uniform(-66, -58))
        paint(signal, inside(ellipse(x, y, vessel, (5, 5))), float(rng.choice([0.06, 0.85])))
        paint(
            signal,
            inside(ellipse(x, y, (vessel[0] - side * 11, vessel[1] + 2), (5.5, 5))),
            float(rng.choice([0.1, 0.6])),
        )


def _bladder(signal: np.ndarray, space: tuple, gland: Gland, rng: np.random.Generator) -> None:
    radii = (rng.uniform(26, 44), rng.uniform(17, 27), rng.uniform(20, 28))
    centre = (rng.normal(0, 2), gland.y_mm - rng.uniform(10, 18), gland.z_mm + gland.radii_mm[2] + 0.45 * radii[2])
    distance = ellipsoid(*space, centre, radii)
    wall = rng.uniform(2.5, 5)
    paint(signal, inside(distance - wall), 0.24)
    paint(signal, inside(distance), rng.uniform(0.75, 1.05))


def _seminal_vesicles(signal: np.ndarray, grid: Grid, space: tuple, gland: Gland, rng: np.random.Generator) -> None:
    coils = 0.5 + 0.32 * np.tanh(2.5 * grid.noise(rng, 4.5, 4.5, 8))
    for side in SIDES:
        centre = (side * rng.uniform(13, 18), gland.back_mm - rng.uniform(0, 4), gland.z_mm + gland.radii_mm[2] + 3)
        radii = (rng.uniform(13, 18), rng.uniform(5, 8), rng.uniform(8, 11))
        paint(signal, inside(ellipsoid(*space, centre, radii, side * -15), 3), coils)


def _plexus(signal: np.ndarray, grid: Grid, space: tuple, gland: Gland, rng: np.random.Generator) -> None:
    """Veins and nerves around the capsule, with the same grey values as the gland."""
    distance, _ = gland.distance(space)
    veins = 0.45 + 0.2 * np.tanh(2 * grid.noise(rng, 4.5, 4.5, 9))
    front = inside(space[1] - gland.y_mm, 20)
    below_base = inside(space[2] - gland.z_mm - 0.6 * gland.radii_mm[2], 8)
    paint(signal, inside(distance - 2 - 5 * front, 6) * below_base * 0.85, veins)


def _levator(signal: np.ndarray, space: tuple, gland: Gland, rng: np.random.Generator) -> None:
    """The levator muscle: a sling at both sides of gland and rectum, which closes around the anal canal below."""
    x, y, z = space
    opening = np.clip((z - gland.z_mm + gland.radii_mm[2] + 14) / 34, 0, 1)
    half_width = 12 + (gland.radii_mm[0] - 7) * opening
    u, v = x / half_width, (y - gland.y_mm - 16) / (16 + 17 * opening)
    distance = (np.sqrt(u * u + v * v) - 1) * half_width
    sling = shell(distance, rng.uniform(3, 5), 3) * inside(z - gland.z_mm - 0.6 * gland.radii_mm[2], 8)
    paint(signal, sling * inside(gland.y_mm - 4 - y, 10), 0.2)


def _rectum(
    signal: np.ndarray, grid: Grid, space: tuple, gland: Gland, endorectal: bool, rng: np.random.Generator
) -> float:
    x, y, z = space
    above = inside(gland.z_mm - gland.radii_mm[2] - z, 16)
    radius = rng.uniform(17, 21) if endorectal else rng.uniform(9, 15)
    centre_y = gland.back_mm + radius + rng.uniform(1.5, 4)
    u = (x - rng.normal(0, 2)) / (1.05 if endorectal else rng.uniform(1.0, 1.3))
    v = y - (centre_y * above + (gland.y_mm + 24) * (1 - above))
    distance = np.sqrt(u * u + v * v) - (radius * above + 11 * (1 - above))
    paint(signal, inside(distance), 0.27 + 0.05 * grid.noise(rng, 4))
    mucosa = inside(distance + 3)
    lumen = inside(distance + (2.5 if endorectal else 4.5 + 2 * (1 - above)))
    paint(signal, mucosa, 0.5)
    if endorectal:
        paint(signal, lumen, 0.03)
        paint(signal, inside(np.hypot(u, v + 2) - 3) * above, 0.35)
    else:
        stool = 0.32 + 0.16 * np.tanh(2 * grid.noise(rng, 6))
        gas_level = y - centre_y - rng.uniform(-1.2, 1.2) * radius
        paint(signal, lumen, 0.04 + (stool - 0.04) * inside(-gas_level, 2))
    return centre_y


def _skin(signal: np.ndarray, space: tuple, rng: np.random.Generator) -> None:
    x, y, _ = space
    distance = ellipse(x, y, (0, 14), (rng.uniform(160, 185), rng.uniform(92, 104)))
    paint(signal, shell(distance, 2), 0.25)
    paint(signal, inside(-distance), 0.0)
