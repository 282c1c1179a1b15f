"""A bundle's folder, its export and ``monai.bundle run`` give the same mask of a volume."""

import shutil

import nibabel
import numpy as np
import pytest
import torch

from custom_components.bundle import copy_bundle, read_bundle
from custom_components.bundle.segmenting import Segmenting, open_bundle, open_exported
from custom_components.export import export_torchscript
from custom_components.foundation.errors import InputError


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """ENet with random weights and a window, in a folder whose name has a meaning in MONAI's configs."""
    folder = tmp_path_factory.mktemp("$it's @1 #2") / "enet"
    copy_bundle("enet", folder, image_size=32, field_of_view=50)
    bundle = read_bundle(str(folder))
    torch.manual_seed(0)
    bundle.model_file.parent.mkdir()
    torch.save(bundle.build_network().state_dict(), bundle.model_file)
    export_torchscript(bundle, folder / "models" / "model.ts")
    return folder


@pytest.mark.parametrize("is_exported", [False, True])
def test_the_mask_is_that_of_the_bundles_own_run(bundle, is_exported, workflow, dataset_dir, tmp_path):
    (tmp_path / "volumes").mkdir()
    image = shutil.copy(sorted((dataset_dir / "images").iterdir())[0], tmp_path / "volumes" / "A 1.nii.gz")
    copy = shutil.copytree(bundle, tmp_path / "enet")
    workflow(copy, "inference", dataset_dir=str(tmp_path / "volumes"), output_dir=str(tmp_path / "run")).run()
    expected = nibabel.load(tmp_path / "run" / "predictions" / "A 1.nii.gz")
    assert 0 < np.count_nonzero(expected.dataobj) < np.prod(expected.shape)

    opened = open_exported(bundle / "models" / "model.ts") if is_exported else open_bundle(bundle)
    assert (opened.name, opened.version) == ("Prostate MRI student: ENet", "0.1.0")
    said = Segmenting(opened, tmp_path / "#2", "cpu", keep_probs=True)(image)
    mask = nibabel.load(said.mask)
    np.testing.assert_array_equal(mask.dataobj, expected.dataobj)
    np.testing.assert_array_equal(mask.affine, expected.affine)
    assert said.probs.shape == (2, *expected.shape)
    assert said.warning.startswith("the mask touches the border of the central 50 mm that the network sees")


def test_probabilities_are_kept_only_when_asked_for(bundle, dataset_dir, tmp_path):
    image = sorted((dataset_dir / "images").iterdir())[0]
    assert Segmenting(open_bundle(bundle), tmp_path)(image).probs is None


def test_a_bundle_that_cannot_be_opened_is_named(bundle, tmp_path):
    copy = shutil.copytree(bundle, tmp_path / "enet")
    torch.save({"weight": torch.zeros(1)}, copy / "models" / "model.pt")
    with pytest.raises(InputError, match=r"\A.*/enet/models/model.pt: not the weights of a ENet: .*\Z"):
        open_bundle(copy)
    (copy / "models" / "model.pt").unlink()
    with pytest.raises(InputError, match=r"\A.*/enet/models/model.pt: no such checkpoint; train the bundle first\Z"):
        open_bundle(copy)
    (copy / "models" / "model.ts").write_bytes(b"no TorchScript")
    with pytest.raises(InputError, match=r"\A.*/model.ts: is no TorchScript model; export the bundle again\Z"):
        open_exported(copy / "models" / "model.ts")
    torch.jit.save(torch.jit.script(torch.nn.ReLU()), copy / "models" / "model.ts")
    with pytest.raises(InputError, match=r"\A.*/model.ts: holds no inference.json or no metadata; export it .*\Z"):
        open_exported(copy / "models" / "model.ts")
