"""Random versions of slices, made for a whole batch at once, on the batch's device."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from monai.engines import PrepareBatch, default_prepare_batch
from torch import Tensor
from torch.nn import functional

from custom_components.foundation.errors import InputError

DRAWS = 9  # number of random numbers that a slice draws before its noise


class RandomTransforms:
    """Random flips, affine maps, contrast and noise. Each slice draws its own numbers from its own seed.

    The results have the same distribution as MONAI's ``RandFlipd``, ``RandAffined`` (bilinear for the image, nearest
    for the label, the border's value outside), ``RandAdjustContrastd`` (``retain_stats``) and ``RandGaussianNoised``,
    one after the other, each with the same probability. MONAI's transforms handle one slice at a time on the CPU. They
    take 20 times as long at 64x64, and 5 times as long at 192x192 (docs/adr/0009-random-transforms-on-the-batch.md).

    All numbers are drawn on the CPU, so that a seed gives the same version of a slice on every device and in every
    batch.

    Args:
        probability: probability of each of the four transforms, for each slice.
        rotation: largest angle, in radians.
        scale: largest stretch of the rows' axis; 0.1 stretches by up to 10 %.
        shift: largest shift along each axis, in pixels.
        gamma: least and largest exponent of the contrast.
        noise: largest standard deviation of the noise.

    Raises:
        InputError: if ``probability`` is not between 0 and 1.
    """

    def __init__(
        self, probability: float, rotation: float, scale: float, shift: float, gamma: Sequence[float], noise: float
    ) -> None:
        if not isinstance(probability, int | float) or not 0 <= probability <= 1:
            raise InputError(f"augmentation: {probability!r} is no probability; give a number from 0 to 1")
        self.probability = probability
        self.rotation = rotation
        self.scale = scale
        self.shift = shift
        self.gamma = tuple(gamma)
        self.noise = noise

    def __call__(self, image: Tensor, label: Tensor, seeds: Iterable[int]) -> tuple[Tensor, Tensor]:
        """Make the random version of each slice from its seed.

        Args:
            image: (B, 1, H, W), float.
            label: (B, 1, H, W).
            seeds: B seeds, one for each slice.

        Returns:
            New tensors of the same shapes, types and device.
        """
        generators, drawn = _draw(seeds)
        _, _, adjusted, noisy = (drawn[:, :4] < self.probability).T
        image, label = self._place(drawn, image, label)
        if adjusted.any():
            least, largest = self.gamma
            exponents = least + (largest - least) * drawn[adjusted, 8]
            image[adjusted] = _adjust_contrast(image[adjusted], exponents.to(image)[:, None, None, None])
        for place in noisy.nonzero().flatten().tolist():
            noise = torch.randn(image.shape[1:], generator=generators[place]) * torch.rand(
                (), generator=generators[place]
            )
            image[place] += (noise * self.noise).to(image)
        return image, label

    def move(self, maps: Tensor, seeds: Iterable[int]) -> Tensor:
        """Flip and move maps as :meth:`__call__` flips and moves the images of the same seeds: bilinear, without
        contrast and noise.

        Probabilities that sum to 1 do so afterwards.

        Args:
            maps: (B, K, H, W), float, such as the classes' probabilities.
            seeds: B seeds, those of the images.

        Returns:
            A new tensor of the same shape, type and device.
        """
        return self._place(_draw(seeds)[1], maps)[0]

    def _place(self, drawn: Tensor, image: Tensor, label: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """The flipped and moved copies of images (B, K, H, W) and of their labels, if there are labels."""
        flipped, moved = (drawn[:, :2] < self.probability).T
        grid = _grid(self._maps(*(drawn[moved, 4:8] * 2 - 1).T).to(image), image.shape[2:]) if moved.any() else None

        def place(pixels: Tensor, mode: str) -> Tensor:
            pixels = pixels.clone()
            pixels[flipped] = pixels[flipped].flip(2)
            if grid is not None:
                pixels[moved] = _sample(pixels[moved], grid, mode)
            return pixels

        return place(image, "bilinear"), None if label is None else place(label, "nearest")

    def _maps(self, angle: Tensor, stretch: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Affine maps (B, 2, 3), made from amounts (B,) between -1 and 1.

        A map takes a pixel of the result to its place in the original image, both in pixels from the centre: it
        stretches, then shifts, then rotates.
        """
        cosine, sine = (angle * self.rotation).cos(), (angle * self.rotation).sin()
        turn = torch.stack([cosine, -sine, sine, cosine], dim=1).view(-1, 2, 2)
        scales = torch.stack([1 + stretch * self.scale, torch.ones_like(stretch)], dim=1)
        shift = torch.stack([rows, columns], dim=1) * self.shift
        return torch.cat([turn * scales[:, None], turn @ shift[:, :, None]], dim=2)


def _draw(seeds: Iterable[int]) -> tuple[list[torch.Generator], Tensor]:
    """A generator for each seed, and its first :data:`DRAWS` numbers (B, DRAWS): four that decide which transforms are
    made, then the amounts of the affine map (four) and of the contrast.
    """
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    return generators, torch.stack([torch.rand(DRAWS, generator=generator) for generator in generators])


def _grid(maps: Tensor, size: Sequence[int]) -> Tensor:
    """The places (B, H, W, 2) from which maps (B, 2, 3) take the pixels of images of a size (H, W)."""
    # grid_sample takes coordinates from -1 to 1, the column before the row.
    half = maps.new_tensor(list(size)) / 2
    theta = torch.cat([maps[:, :, :2] * half, maps[:, :, 2:]], dim=2) / half[:, None]
    theta = torch.cat([theta[:, :, :2].flip(1, 2), theta[:, :, 2:].flip(1)], dim=2)
    return functional.affine_grid(theta, [len(maps), 1, *size], align_corners=False)


def _sample(pixels: Tensor, grid: Tensor, mode: str) -> Tensor:
    """Images or labels (B, K, H, W) at the places of a grid; a place outside gets the nearest border pixel's value."""
    return functional.grid_sample(pixels.to(grid), grid, mode, padding_mode="border", align_corners=False).to(pixels)


def _adjust_contrast(image: Tensor, exponents: Tensor) -> Tensor:
    """Raise images, scaled to 0 to 1, to exponents (B, 1, 1, 1); their mean and standard deviation stay."""
    pixels = (1, 2, 3)
    least = image.amin(pixels, keepdim=True)
    extent = image.amax(pixels, keepdim=True) - least
    # As in MONAI, small numbers prevent a division by zero for a constant image.
    raised = ((image - least) / (extent + 1e-7)) ** exponents * extent + least
    raised = raised - raised.mean(pixels, keepdim=True)
    raised = raised / (raised.std(pixels, keepdim=True) + 1e-8)
    return image.std(pixels, keepdim=True) * raised + image.mean(pixels, keepdim=True)


class PrepareSlices(PrepareBatch):
    """Brings a batch of :class:`SliceDataset` to the device and makes the random versions there.

    Args:
        transforms: the random transforms; None leaves the slices unchanged.
    """

    def __init__(self, transforms: RandomTransforms | None = None) -> None:
        self.transforms = transforms

    def __call__(
        self,
        batchdata: dict[str, Any],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        *args: Any,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor]:
        """Return image and label (B, 1, H, W), in the form that a MONAI trainer needs."""
        image, label = default_prepare_batch(batchdata, device, non_blocking, **kwargs)
        if self.transforms is None:
            return image, label
        return self.transforms(image, label, batchdata["seed"].tolist())
