"""The six sites of the phantom, with the properties of their scanners.

The names are those of the public multi-site dataset, so that a command for the phantom also fits the real data. The
values are invented. They make the sites differ as real sites do, in field of view, coil, contrast and noise.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Site:
    """One scanner.

    Attributes:
        matrix: rows and columns.
        field_of_view_mm: side of the square image.
        slab_mm: height of the stack of slices.
        endorectal: whether the coil is in the rectum instead of around the pelvis.
        contrast: exponent of the T2w signal; a value above 1 makes middle grey values darker.
        peripheral_zone: signal of the healthy peripheral zone (fat is near 0.7).
        bias: how strongly the coil's sensitivity varies over the image.
        noise: standard deviation in each complex channel (the signal of fat is about 0.7).
        sharpness_mm: blur of the image in mm.
        scale: grey value of signal 1, since each scanner has its own units.
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
