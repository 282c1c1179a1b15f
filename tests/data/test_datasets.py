import pytest
import torch
from monai.data import DataLoader
from torch.utils.data import default_collate

from custom_components.data import PrepareSlices, SliceDataset, VolumeDataset, require_slices
from custom_components.foundation.errors import InputError


def test_one_sample_a_slice_in_the_order_of_the_cases(cases, preprocessing, tmp_path):
    slices = SliceDataset(cases[:2], preprocessing, tmp_path)
    volumes = VolumeDataset(cases[:2], preprocessing, tmp_path)
    assert len(slices) == 8
    for index, sample in enumerate(slices[i] for i in range(8)):
        volume = volumes[index // 4]
        assert (sample["case"], sample["slice"]) == (volume["case"], index % 4)
        assert torch.equal(sample["image"], volume["image"][..., index % 4])
        assert torch.equal(sample["label"], volume["label"][..., index % 4])


def test_no_case_makes_an_empty_dataset(preprocessing, tmp_path):
    assert len(SliceDataset([], preprocessing, tmp_path)) == len(VolumeDataset([], preprocessing, tmp_path)) == 0


def images(dataset, seed: int, workers: int) -> torch.Tensor:
    torch.manual_seed(seed)
    loader = DataLoader(dataset, batch_size=3, shuffle=True, num_workers=workers)
    prepare = PrepareSlices(dataset.transform)
    return torch.cat([prepare(batch)[0] for batch in loader])


def drawn(dataset, index: int) -> dict:
    """A sample as the trainer sees it."""
    sample = default_collate([dataset[index]])
    image, label = PrepareSlices(dataset.transform)(sample)
    (case,), (depth,), (view,) = sample["case"], sample["slice"].tolist(), sample["view"].tolist()
    return {"image": image[0], "label": label[0], "case": case, "slice": depth, "view": view}


def test_without_random_transforms_the_slices_stay_as_they_are(cases, preprocessing, tmp_path):
    dataset = SliceDataset(cases[:1], preprocessing, tmp_path)
    state = torch.get_rng_state()
    sample = drawn(dataset, 2)
    assert torch.equal(sample["image"], dataset[2]["image"])
    assert torch.equal(sample["label"], dataset[2]["label"])
    assert torch.equal(torch.get_rng_state(), state), "nothing is drawn, so that trainings stay what they were"


@pytest.mark.parametrize("workers", [0, 2])
def test_torchs_generator_alone_decides_the_random_transforms(
    cases, preprocessing, random_transforms, tmp_path, workers
):
    dataset = SliceDataset(cases[:2], preprocessing, tmp_path, random_transforms())
    first = images(dataset, 1, workers)
    assert torch.equal(images(dataset, 1, workers), first)
    assert not torch.equal(images(dataset, 2, workers), first)


def test_random_transforms_differ_from_epoch_to_epoch_and_keep_the_mask_binary(
    cases, preprocessing, random_transforms, tmp_path
):
    dataset = SliceDataset(cases[:1], preprocessing, tmp_path, random_transforms())
    plain = SliceDataset(cases[:1], preprocessing, tmp_path)[2]
    first, second = drawn(dataset, 2), drawn(dataset, 2)
    assert not torch.equal(first["image"], second["image"])
    assert not torch.equal(first["image"], plain["image"])
    assert first["label"].shape == plain["label"].shape
    assert set(torch.as_tensor(first["label"]).unique().tolist()) == {0, 1}
    assert (first["case"], first["slice"]) == (plain["case"], 2)


def test_views_are_a_few_random_versions_that_every_training_shares(cases, preprocessing, random_transforms, tmp_path):
    dataset = SliceDataset(cases[:1], preprocessing, tmp_path, random_transforms(), views=2)
    (case,) = dataset.cases
    views = [dataset.view(case, 2, view) for view in range(2)]
    assert not torch.equal(views[0]["image"], views[1]["image"])
    assert not torch.equal(views[0]["image"], dataset.view(case, 1, 0)["image"])
    torch.manual_seed(0)
    samples = [drawn(dataset, 2) for _ in range(20)]
    assert {sample["view"] for sample in samples} == {0, 1}
    for sample in samples:
        assert torch.equal(sample["image"], views[sample["view"]]["image"])
        assert torch.equal(sample["label"], views[sample["view"]]["label"])
    together, labels = dataset.views_of(case, [(1, 0), (2, 1)])
    torch.testing.assert_close(together[1], views[1]["image"], rtol=1e-6, atol=1e-6)
    assert torch.equal(labels[1], views[1]["label"])
    again = SliceDataset(cases[:1], preprocessing, tmp_path, random_transforms(), views=4)
    assert torch.equal(again.view(case, 2, 1)["image"], views[1]["image"])


def test_without_a_transform_there_are_no_views(cases, preprocessing, tmp_path):
    dataset = SliceDataset(cases[:1], preprocessing, tmp_path, transform=None, views=4)
    assert dataset.views == 0
    assert (dataset[2]["view"], dataset[2]["seed"]) == (0, 0)


def test_slices_without_prostate_can_be_left_out(cases, preprocessing, tmp_path):
    all_slices = SliceDataset(cases[:2], preprocessing, tmp_path)
    marked = [
        (sample["case"], sample["slice"]) for sample in map(all_slices.__getitem__, range(8)) if sample["label"].any()
    ]
    assert 0 < len(marked) < 8
    gland = SliceDataset(cases[:2], preprocessing, tmp_path, gland_only=True)
    assert [(sample["case"], sample["slice"]) for sample in map(gland.__getitem__, range(len(gland)))] == marked


def test_cases_without_masks_follow_with_an_empty_label(cases, preprocessing, tmp_path):
    bare = [{key: value for key, value in case.items() if key != "label"} for case in cases[1:3]]
    masks = SliceDataset(cases[:3], preprocessing, tmp_path)
    dataset = SliceDataset(cases[:1], preprocessing, tmp_path, without_masks=bare, gland_only=True)
    gland = dataset.has_mask.count(True)
    assert gland == 3, "of four slices, one is without gland"
    assert dataset.has_mask == [True] * 3 + [False] * 8, "of a case without a mask all slices stay"
    assert [case.sha256.keys() for case in dataset.cases] == [{"image", "label"}, {"image"}, {"image"}]
    for place in range(8):
        sample, expected = dataset[gland + place], masks[4 + place]
        assert (sample["case"], sample["slice"], sample["has_mask"]) == (expected["case"], expected["slice"], False)
        assert torch.equal(sample["image"], expected["image"])
        assert (sample["label"].shape, sample["label"].dtype) == (expected["label"].shape, torch.uint8)
        assert not sample["label"].any()
    together = default_collate([dataset[0], dataset[gland]])
    assert together["has_mask"].tolist() == [True, False]
    assert together["has_mask"].dtype == torch.bool
    images, labels = dataset.views_of(dataset.cases[1], [(1, 0), (2, 0)])
    assert torch.equal(images[1], masks[6]["image"])
    assert not labels.any()


def test_a_list_without_unlabeled_cases_is_refused(cases, preprocessing, tmp_path):
    with pytest.raises(InputError, match=r"\Aunlabeled: the split lists no case without a mask; set --unlabeled False"):
        SliceDataset(cases[:1], preprocessing, tmp_path, without_masks=[])


def test_nothing_to_train_on_is_told_with_the_split(cases, preprocessing, tmp_path):
    with pytest.raises(
        InputError, match=r"\Asplit.json: has no training case with a mask; to learn from images without"
    ):
        require_slices(SliceDataset([], preprocessing, tmp_path), "split.json")
    empty = SliceDataset(cases[:1], preprocessing, tmp_path)
    empty._index = []
    with pytest.raises(
        InputError, match=r"\Asplit.json: no training case has a slice with prostate; set --gland_slices"
    ):
        require_slices(empty, "split.json")
    require_slices(SliceDataset(cases[:1], preprocessing, tmp_path), "split.json")
