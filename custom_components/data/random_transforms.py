"""Random versions of slices, made of a whole batch at once, on its device."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from monai.engines import PrepareBatch, default_prepare_batch
from torch import Tensor
from torch.nn import functional

from custom_components.errors import InputError

DRAWS = 9  # what a slice draws before its noise


class RandomTransforms:
    """Flips, affine maps, contrast and noise, of which each slice draws its own from its own seed.

    The images are distributed as those of MONAI's ``RandFlipd``, ``RandAffined`` (bilinear for the image, nearest for
    the label, the border's value outside), ``RandAdjustContrastd`` (``retain_stats``) and ``RandGaussianNoised``, one
    after the other, each with the same probability. Those take one slice at a time on the CPU, twenty times as long.

    All numbers are drawn on the CPU, so that a seed gives the same version of a slice on every device and in every
    batch.

    Args:
        probability: of each of the four, for each slice.
        rotation: largest angle, in radians.
        scale: largest stretch of the rows' axis, as a part of 1.
        shift: largest shift along each axis, in pixels.
        gamma: least and largest exponent of the contrast.
        noise: largest standard deviation of the noise.

    Raises:
        InputError: if the probability is none.
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
        """The version of each slice that its seed makes.

        Args:
            image: (B, 1, H, W), float.
            label: (B, 1, H, W).
            seeds: B of them.

        Returns:
            New tensors of the same shapes, types and device.
        """
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        drawn = torch.stack([torch.rand(DRAWS, generator=generator) for generator in generators])
        flipped, moved, adjusted, noisy = (drawn[:, :4] < self.probability).T
        amounts = drawn[:, 4:]
        image, label = image.clone(), label.clone()
        image[flipped], label[flipped] = image[flipped].flip(2), label[flipped].flip(2)
        if moved.any():
            maps = self._maps(*(amounts[moved, :4] * 2 - 1).T).to(image)
            image[moved], label[moved] = _move(image[moved], label[moved], maps)
        if adjusted.any():
            least, largest = self.gamma
            exponents = least + (largest - least) * amounts[adjusted, 4]
            image[adjusted] = _adjust_contrast(image[adjusted], exponents.to(image)[:, None, None, None])
        for place in noisy.nonzero().flatten().tolist():
            noise = torch.randn(image.shape[1:], generator=generators[place]) * torch.rand(
                (), generator=generators[place]
            )
            image[place] += (noise * self.noise).to(image)
        return image, label

    def _maps(self, angle: Tensor, stretch: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """From amounts (B,) within -1 and 1, maps (B, 2, 3) from a pixel of the result to the place where it comes
        from, both in pixels from the centre: stretched, then shifted, then turned."""
        cosine, sine = (angle * self.rotation).cos(), (angle * self.rotation).sin()
        turn = torch.stack([cosine, -sine, sine, cosine], dim=1).view(-1, 2, 2)
        scales = torch.stack([1 + stretch * self.scale, torch.ones_like(stretch)], dim=1)
        shift = torch.stack([rows, columns], dim=1) * self.shift
        return torch.cat([turn * scales[:, None], turn @ shift[:, :, None]], dim=2)


def _move(image: Tensor, label: Tensor, maps: Tensor) -> tuple[Tensor, Tensor]:
    """Images and labels (B, 1, H, W) seen through maps (B, 2, 3); outside, the border goes on."""
    height, width = image.shape[2:]
    # grid_sample counts from -1 to 1, columns before rows.
    half = maps.new_tensor([height, width]) / 2
    theta = torch.cat([maps[:, :, :2] * half, maps[:, :, 2:]], dim=2) / half[:, None]
    theta = torch.cat([theta[:, :, :2].flip(1, 2), theta[:, :, 2:].flip(1)], dim=2)
    grid = functional.affine_grid(theta, list(image.shape), align_corners=False)

    def sample(pixels: Tensor, mode: str) -> Tensor:
        return functional.grid_sample(pixels, grid, mode, padding_mode="border", align_corners=False)

    return sample(image, "bilinear"), sample(label.to(image), "nearest").to(label)


def _adjust_contrast(image: Tensor, exponents: Tensor) -> Tensor:
    """Images raised to exponents (B, 1, 1, 1) between their least and largest value; mean and spread stay."""
    pixels = (1, 2, 3)
    least = image.amin(pixels, keepdim=True)
    extent = image.amax(pixels, keepdim=True) - least
    # The same small numbers as MONAI's keep a flat image from a division by zero.
    raised = ((image - least) / (extent + 1e-7)) ** exponents * extent + least
    raised = raised - raised.mean(pixels, keepdim=True)
    raised = raised / (raised.std(pixels, keepdim=True) + 1e-8)
    return image.std(pixels, keepdim=True) * raised + image.mean(pixels, keepdim=True)


class PrepareSlices(PrepareBatch):
    """Brings a batch of :class:`SliceDataset` to the device and makes the random versions there.

    Args:
        transforms: None leaves the slices as they are.
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
        """Image and label (B, 1, H, W), as a MONAI trainer asks for them."""
        image, label = default_prepare_batch(batchdata, device, non_blocking, **kwargs)
        if self.transforms is None:
            return image, label
        return self.transforms(image, label, batchdata["seed"].tolist())
