"""Simulation of a site's scanner: from the T2w signal to a stored image, with coil, blur, Rician noise and grey
values.
"""

import numpy as np
from scipy.ndimage import gaussian_filter

from data_prep.phantom.fields import Grid
from data_prep.phantom.sites import Site


def scan(signal: np.ndarray, grid: Grid, site: Site, rectum_y_mm: float, rng: np.random.Generator) -> np.ndarray:
    """The image (H, W, D), int16, that a site's scanner makes of a signal (H, W, D)."""
    sigma = [site.sharpness_mm / size for size in grid.spacing_mm[:2]] + [0]
    received = gaussian_filter(signal**site.contrast, sigma, truncate=3) * _sensitivity(grid, site, rectum_y_mm, rng)
    channels = rng.standard_normal((2, *grid.shape), dtype=np.float32) * site.noise
    magnitude = np.hypot(received + channels[0], channels[1])
    return np.clip(magnitude * site.scale, 0, np.iinfo(np.int16).max).astype(np.int16)


def _sensitivity(grid: Grid, site: Site, rectum_y_mm: float, rng: np.random.Generator) -> np.ndarray:
    drift = np.exp(0.12 * grid.noise(rng, 80))
    if site.endorectal:
        # The signal falls with the square of the distance, so near the coil it is several times as large as far away.
        distance = np.sqrt(grid.x**2 + (grid.y - rectum_y_mm) ** 2 + (0.6 * grid.z) ** 2)
        return drift * (0.6 + 3.2 * site.bias / (1 + (distance / 22) ** 2))
    front, back = np.exp((-grid.y - 95) / 45), np.exp((grid.y - 95) / 45)
    tilt = rng.normal(0, 0.1) * grid.x / 100
    return drift * (0.8 + 2.2 * site.bias * (front + 1.2 * back) + tilt)
