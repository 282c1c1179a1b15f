"""Random versions of slices have the distribution of MONAI's and, with the same numbers, the same pixels."""

import math

import numpy as np
import pytest
import torch
from monai.transforms import (
    AdjustContrast,
    Affine,
    Compose,
    Flip,
    RandAdjustContrastd,
    RandAffined,
    RandFlipd,
    RandGaussianNoised,
)

from custom_components.data import RandomTransforms
from custom_components.data.random_transforms import _grid, _sample
from custom_components.foundation.errors import InputError

SIZE = 32
OPTIONS = {"rotation": 0.2, "scale": 0.15, "shift": SIZE * 0.05, "gamma": (0.7, 1.5), "noise": 0.1}
NOTHING = {"rotation": 0.0, "scale": 0.0, "shift": 0.0, "gamma": (1.0, 1.0), "noise": 0.0}
COUNT = 600


def stock(probability: float) -> Compose:
    """The transforms that this project used before, one slice at a time."""
    return Compose(
        [
            RandFlipd(["image", "label"], spatial_axis=0, prob=probability),
            RandAffined(
                ["image", "label"],
                prob=probability,
                rotate_range=0.2,
                scale_range=0.15,
                translate_range=[SIZE * 0.05] * 2,
                mode=["bilinear", "nearest"],
                padding_mode="border",
            ),
            RandAdjustContrastd("image", gamma=[0.7, 1.5], retain_stats=True, prob=probability),
            RandGaussianNoised("image", std=0.1, prob=probability),
        ]
    )


@pytest.fixture(scope="module")
def scene() -> tuple[torch.Tensor, torch.Tensor]:
    """One slice (1, H, W) without any symmetry, and its mask."""
    rows, columns = torch.meshgrid(*[torch.arange(SIZE, dtype=torch.float32)] * 2, indexing="ij")
    mask = ((rows - 11) / 6) ** 2 + ((columns - 18) / 9) ** 2 < 1
    image = 2 * mask + torch.sin(rows / 5) + columns / SIZE
    return ((image - image.mean()) / image.std())[None], mask[None].to(torch.uint8)


def ours(scene, probability: float = 1.0, seeds=range(COUNT), **options) -> tuple[torch.Tensor, torch.Tensor]:
    image, label = (part.expand(len(seeds), 1, SIZE, SIZE) for part in scene)
    return RandomTransforms(probability, **{**OPTIONS, **options})(image, label, seeds)


def statistics(image: torch.Tensor, label: torch.Tensor) -> dict[str, torch.Tensor]:
    """Statistics of each version (B,): of its intensities, its texture, and the mask's place, size and tilt."""
    pixels, mask = image.flatten(1).double(), label.flatten(1).double()
    rows, columns = (axis.flatten() for axis in torch.meshgrid(*[torch.arange(SIZE).double()] * 2, indexing="ij"))
    area = mask.sum(dim=1)
    row, column = ((mask * axis).sum(dim=1) / area for axis in (rows, columns))
    away_rows, away_columns = rows - row[:, None], columns - column[:, None]
    centred = pixels - pixels.mean(dim=1, keepdim=True)
    return {
        "mean": pixels.mean(dim=1),
        "spread": pixels.std(dim=1),
        "skewness": (centred**3).mean(dim=1),
        "least": pixels.amin(dim=1),
        "largest": pixels.amax(dim=1),
        "roughness": image.double().diff(dim=3).abs().mean(dim=(1, 2, 3)),
        "area": area,
        "row": row,
        "column": column,
        "height": (mask * away_rows**2).sum(dim=1) / area,
        "width": (mask * away_columns**2).sum(dim=1) / area,
        "tilt": (mask * away_rows * away_columns).sum(dim=1) / area,
    }


@pytest.fixture(scope="module")
def stock_statistics(scene):
    def of(probability: float, count: int = COUNT) -> dict[str, torch.Tensor]:
        transforms = stock(probability)
        versions = []
        for seed in range(count):
            transforms.set_random_state(seed=seed)
            versions.append(transforms({"image": scene[0], "label": scene[1]}))
        stacked = (torch.stack([torch.as_tensor(v[key]) for v in versions]) for key in ("image", "label"))
        return statistics(*stacked)

    return of


@pytest.mark.parametrize("probability", [0.5, 1.0])
def test_the_versions_are_distributed_as_those_of_monai(scene, stock_statistics, probability):
    """Compare two samples of 600 by Kolmogorov and Smirnov's distance; 0.11 is its limit at the level of 0.1 %."""
    expected = stock_statistics(probability)
    for name, own in statistics(*ours(scene, probability)).items():
        # The values are rounded, so that a version without a change equals the same version after a computation.
        both = [values.mul(1e4).round().sort().values for values in (own, expected[name])]
        steps = torch.cat(both).unique()
        shares = [torch.searchsorted(values, steps, right=True) / COUNT for values in both]
        assert (shares[0] - shares[1]).abs().max() < 0.11, name


def test_each_transform_has_a_probability_of_its_own(scene):
    """All sixteen combinations are equally frequent, and a version without any transform equals the slice."""
    image, _ = scene
    changes = {
        "flip": {},
        "affine": {"shift": SIZE * 0.05},
        "contrast": {"gamma": (0.7, 1.5)},
        "noise": {"noise": 0.1},
    }
    done = []
    for name, options in changes.items():
        versions, _ = ours(scene, 0.5, **{**NOTHING, **options})
        plain = torch.isclose(versions, image, atol=1e-5).flatten(1).all(dim=1)
        mirrored = torch.isclose(versions, image.flip(1), atol=1e-5).flatten(1).all(dim=1)
        done.append(mirrored if name == "flip" else ~(plain | mirrored))
    combinations = sum(chosen.long() << place for place, chosen in enumerate(done)).bincount(minlength=16)
    # 600 / 16 = 37.5, with a standard deviation of 5.9.
    assert ((combinations - 37.5).abs() < 4 * 5.9).all(), combinations
    for own, part in zip(ours(scene, 0.0), scene, strict=True):
        assert torch.equal(own, part.expand_as(own))


@pytest.mark.parametrize(("angle", "stretch", "rows", "columns"), [(0.2, 0.1, 1.5, -1.0), (-0.13, -0.15, 0.0, 0.7)])
def test_an_affine_map_is_monais(scene, angle, stretch, rows, columns):
    maps = RandomTransforms(1.0, 1.0, 1.0, 1.0, (1, 1), 0.0)._maps(
        *(torch.tensor([value]) for value in (angle, stretch, rows, columns))
    )
    grid = _grid(maps, (SIZE, SIZE))
    for part, mode in zip(scene, ("bilinear", "nearest"), strict=True):
        own = _sample(part[None], grid, mode)
        affine = Affine(
            rotate_params=angle,
            translate_params=(rows, columns),
            scale_params=(1 + stretch, 1),
            mode=mode,
            padding_mode="border",
            image_only=True,
        )
        torch.testing.assert_close(own[0].float(), affine(part).as_tensor().float(), rtol=1e-4, atol=1e-4)


def test_an_image_that_is_not_square_keeps_its_angles():
    """A quarter turn of an image of 4 rows and 8 columns makes its horizontal bar vertical."""
    image = torch.zeros(1, 1, 4, 8)
    image[..., 1:3, 2:6] = 1
    quarter = RandomTransforms(1.0, 1.0, 0.0, 0.0, (1, 1), 0.0)._maps(
        *torch.tensor([[math.pi / 2], [0.0], [0.0], [0.0]])
    )
    grid = _grid(quarter, (4, 8))
    moved, label = _sample(image, grid, "bilinear"), _sample(image.to(torch.uint8), grid, "nearest")
    expected = torch.zeros(4, 8)
    expected[:, 3:5] = 1
    torch.testing.assert_close(moved[0, 0], expected, rtol=0, atol=1e-5)
    assert torch.equal(label[0, 0], expected.to(torch.uint8))


@pytest.mark.parametrize("gamma", [0.7, 1.0, 1.5])
def test_the_contrast_is_monais(scene, gamma):
    versions, _ = ours(scene, seeds=[1], **{**NOTHING, "gamma": (gamma, gamma)})
    expected = AdjustContrast(gamma, retain_stats=True)(Flip(0)(scene[0])).as_tensor()
    torch.testing.assert_close(versions[0], expected, rtol=1e-4, atol=1e-4)


def test_a_flat_image_stays_finite():
    flat = torch.full((2, 1, SIZE, SIZE), 3.0)
    image, label = RandomTransforms(1.0, **OPTIONS)(flat, torch.zeros_like(flat, dtype=torch.uint8), [1, 2])
    assert image.isfinite().all()
    assert not label.any()


def test_a_seed_gives_the_same_version_in_every_batch_and_leaves_the_input_alone(scene):
    image, label = ours(scene, seeds=range(8))
    for seeds in ([3], [5, 3, 1]):
        others = ours(scene, seeds=seeds)
        torch.testing.assert_close(others[0], image[seeds], rtol=1e-6, atol=1e-6)
        assert torch.equal(others[1], label[seeds])
    again = [part.expand(8, 1, SIZE, SIZE).clone() for part in scene]
    RandomTransforms(1.0, **OPTIONS)(*again, range(8))
    assert all(torch.equal(part, before.expand_as(part)) for part, before in zip(again, scene, strict=True))


def test_the_mask_stays_0_or_1(scene):
    _, label = ours(scene)
    assert label.dtype == torch.uint8
    assert label.unique().tolist() == [0, 1]


@pytest.mark.parametrize("probability", [-0.1, 1.5, "0.5", None, np.nan])
def test_what_is_no_probability_is_refused(probability):
    with pytest.raises(InputError, match=r"\Aaugmentation: .* is no probability; give a number from 0 to 1"):
        RandomTransforms(probability, **OPTIONS)


def test_a_map_goes_to_the_place_of_its_image(scene):
    """Four maps at once, as a teacher's classes: the image itself, the image upside down, and two that sum to 1."""
    transforms = RandomTransforms(0.5, **{**OPTIONS, "noise": 0.0})
    image = scene[0].expand(COUNT, 1, SIZE, SIZE)
    seeds = range(COUNT)
    part = torch.rand(COUNT, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    versions, _ = transforms(image, image, seeds)
    moved = transforms.move(torch.cat([image, -image, part, 1 - part], dim=1), seeds)
    # The third number decides about the contrast, which maps do not have.
    plain = torch.stack([torch.rand(9, generator=torch.Generator().manual_seed(seed)) for seed in seeds])[:, 2] >= 0.5
    assert 200 < plain.sum() < 400
    assert torch.equal(moved[plain, :1], versions[plain])
    assert torch.equal(moved[:, 1], -moved[:, 0])
    torch.testing.assert_close(moved[:, 2:].sum(dim=1), torch.ones(COUNT, SIZE, SIZE))
    assert not torch.equal(moved[:, :1], image)


def test_a_moved_map_does_not_depend_on_its_batch(scene):
    transforms = RandomTransforms(1.0, **OPTIONS)
    maps = scene[0].expand(5, 3, SIZE, SIZE)
    together = transforms.move(maps, range(5))
    assert all(torch.equal(transforms.move(maps[:1], [seed])[0], together[seed]) for seed in range(5))
    assert torch.equal(maps, scene[0].expand(5, 3, SIZE, SIZE))
