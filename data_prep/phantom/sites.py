"""The six sites of the phantom: what sets their scanners apart.

The names are those of the public multi-site set, so that commands written for the phantom fit the real data. The
values are made up; they only make the sites differ as real ones do, in field of view, coil, contrast and noise.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Site:
    """One scanner.

    Attributes:
        matrix: rows and columns.
        field_of_view_mm: side of the square image.
        slab_mm: height of the stack of slices.
        endorectal: whether the coil sits in the rectum, instead of around the pelvis.
        contrast: exponent on the T2w signal; above 1 darkens the middle greys.
        peripheral_zone: signal of the healthy peripheral zone (fat is near 0.7).
        bias: how strongly sensitivity varies over the image.
        noise: deviation of each complex channel (fat is near 0.7).
        sharpness_mm: blur of the acquisition, in mm.
        scale: grey value of signal 1, for the scanner's own units.
    """

    name: str
    matrix: int
    field_of_view_mm: float
    slab_mm: float
    endorectal: bool
    contrast: float
    peripheral_zone: float
    bias: float
    noise: float
    sharpness_mm: float
    scale: float


SITES = (
    Site("RUNMC", 160, 192.0, 54.0, False, 1.0, 0.74, 0.45, 0.020, 0.5, 900.0),
    Site("BMC", 160, 164.0, 50.0, True, 0.9, 0.72, 0.3, 0.030, 0.6, 1500.0),
    Site("I2CVB", 128, 180.0, 52.0, False, 1.25, 0.80, 0.30, 0.035, 0.9, 420.0),
    Site("UCL", 176, 176.0, 54.0, False, 1.15, 0.64, 0.55, 0.025, 0.6, 1100.0),
    Site("BIDMC", 160, 152.0, 48.0, True, 1.05, 0.74, 0.42, 0.030, 0.5, 9000.0),
    Site("HK", 144, 180.0, 52.0, False, 0.8, 0.68, 0.35, 0.030, 0.8, 600.0),
)
