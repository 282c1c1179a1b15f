"""Fixtures of many tests: a tiny dataset, and copies of the bundles, so that no test writes into the checkout."""

import functools
import logging
import os
import shutil
import sys
from collections.abc import Callable
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import nibabel
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser, ConfigWorkflow
from monai.transforms import Compose
from shipped_bundles import give_random_weights
from torch import nn

from custom_components.bundle import Bundle, copy_bundle, read_bundle
from custom_components.data import RandomTransforms, VolumeDataset, load_datalist
from custom_components.foundation.files import file_sha256, write_json
from custom_components.provenance import provenance
from data_prep.importing import import_dataset
from data_prep.splitting import split_dataset

# A workflow's logging goes to the stream of the test that ran it, which is closed when the next test logs.
logging.raiseExceptions = False

torch.set_num_threads(1)

REPOSITORY = Path(__file__).resolve().parents[1]
SIZE = 32
# The networks see another order and another in-plane size of the voxels, so preprocessing must change both.
AFFINE = np.array([[-1.25, 0, 0, 40], [0, -1.25, 0, 30], [0, 0, 3.6, -20], [0, 0, 0, 1]])


# This file takes long, and its name comes last. It comes first, so that both workers end together.
LONG_FILE = "test_extending.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name != LONG_FILE)


@pytest.fixture(scope="session", autouse=True)
def fork_server() -> None:
    """Start the server of ``custom_components.forked_python`` before the first test, if a collected test uses it.

    A process has one fork server. If an import started its own one first, the forks of the tests would lack MONAI.
    """
    if "custom_components.forked_python" in sys.modules:
        forkserver.ensure_running()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real prostate MRI that PROSTATE_REAL_DATA names (it holds ``promise12_multisite``)."""
    folder = os.environ.get("PROSTATE_REAL_DATA")
    if not folder:
        pytest.skip("no real data")
    return Path(folder)


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def dataset_dir(tmp_path_factory) -> Path:
    """A canonical dataset of three sites with four cases each, a bright ellipse in noise, with splits."""
    folder = tmp_path_factory.mktemp("tiny")
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:40, :36]
    for site, gain in (("BMC", 1.0), ("HK", 3.0), ("UCL", 0.5)):
        (folder / "raw" / site).mkdir(parents=True)
        for number in range(4):
            row, column = rng.uniform(16, 24, 2)
            disc = ((rows - row) / 8) ** 2 + ((columns - column) / 6) ** 2 < 1
            mask = np.stack([disc * depth for depth in (0, 1, 1, 1)], axis=2)
            image = gain * (100 + 200 * mask + rng.normal(0, 20, mask.shape))
            for name, voxels in ((f"Case{number:02}", image), (f"Case{number:02}_segmentation", mask)):
                dtype = np.float32 if voxels is image else np.uint8
                volume = nibabel.Nifti1Image(voxels.astype(dtype), AFFINE)
                nibabel.save(volume, folder / "raw" / site / f"{name}.nii.gz")
    import_dataset(folder / "raw", folder / "dataset")
    split_dataset(folder / "dataset", fractions=(50, 25, 25), groups=("BMC", "HK,UCL"))
    return folder / "dataset"


@pytest.fixture
def cases(dataset_dir) -> list[dict[str, Any]]:
    """The training cases of all sites, two of each."""
    return load_datalist(dataset_dir / "splits" / "all.json", "training", dataset_dir)


@pytest.fixture(scope="session")
def checked_in_preprocessing() -> Callable[..., Compose]:
    """``checked_in_preprocessing("train")``: the transforms of ENet's checked-in config, at a small image size."""

    def parse(config: str = "train", image_size: int = SIZE, field_of_view: float | None = None) -> Compose:
        return checked_in("preprocessing", config, image_size=image_size, field_of_view=field_of_view)

    return parse


@pytest.fixture(scope="session")
def random_transforms() -> Callable[[], RandomTransforms]:
    """``random_transforms()`` makes new transforms of ENet's checked-in config, all of which act on every slice."""
    return lambda: checked_in("train#random_transforms", "train", image_size=SIZE, augmentation=1.0)


def checked_in(key: str, config: str, **changes: Any) -> Any:
    """The value of a key in one of ENet's checked-in configs."""
    parser = ConfigParser()
    parser.read_config(REPOSITORY / "bundles" / "enet" / "configs" / f"{config}.json")
    for name, value in changes.items():
        parser[name] = value
    return parser.get_parsed_content(key)


@pytest.fixture
def preprocessing(checked_in_preprocessing) -> Compose:
    return checked_in_preprocessing()


@pytest.fixture(scope="session")
def copy_bundles_to() -> Callable[..., Path]:
    """``copy_bundles_to(folder, "enet", "espnet")`` copies these bundles, untrained, into a folder."""

    def copy_to(folder: Path, *names: str) -> Path:
        for name in names:
            source = REPOSITORY / "bundles" / name
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("models", "output"))
        return folder

    return copy_to


@pytest.fixture
def copy_bundles(copy_bundles_to, tmp_path) -> Callable[..., Path]:
    """``copy_bundles("enet", "espnet")`` copies these bundles, untrained, to ``tmp_path / 'bundles'``."""
    return lambda *names: copy_bundles_to(tmp_path / "bundles", *names)


@pytest.fixture(scope="session")
def slices(dataset_dir, checked_in_preprocessing, tmp_path_factory) -> Callable[[int], torch.Tensor]:
    """``slices(64)``: the slices (4, 1, 64, 64) of a test case, preprocessed as in training."""

    @functools.cache
    def prepared(image_size: int) -> torch.Tensor:
        cases = load_datalist(dataset_dir / "splits" / "all.json", "test", dataset_dir)[:1]
        preprocessing = checked_in_preprocessing(image_size=image_size)
        (case,) = VolumeDataset(cases, preprocessing, tmp_path_factory.mktemp("prepared")).cases
        return case.image.volume().permute(3, 0, 1, 2).contiguous()

    return prepared


@pytest.fixture(scope="session")
def make_trained(dataset_dir, checked_in_preprocessing, slices, tmp_path_factory) -> Callable[..., Bundle]:
    """``make_trained("enet", image_size=64)`` makes a bundle as after a training, but with random weights.

    Each call gives a copy of its own of the one bundle that is built.
    """
    datalist = dataset_dir / "splits" / "all.json"

    @functools.cache
    def build(name: str, image_size: int) -> Path:
        folder = tmp_path_factory.mktemp("trained") / name
        copy_bundle(name, folder, image_size=image_size)
        bundle = read_bundle(str(folder))
        give_random_weights(bundle, slices(image_size))
        preprocessing, cache_dir = checked_in_preprocessing(image_size=image_size), tmp_path_factory.mktemp("prepared")
        parts = [
            VolumeDataset(load_datalist(datalist, part, dataset_dir), preprocessing, cache_dir).cases
            for part in ("training", "validation")
        ]
        record = provenance(folder, datalist, preprocessing, *parts)
        weights = {"weights_sha256": file_sha256(bundle.model_file), "epoch": 1, "metrics": {"val_mean_dice": 0.5}}
        write_json(bundle.provenance_file, record | weights)
        return folder

    def make(name: str, image_size: int = SIZE) -> Bundle:
        return read_bundle(str(shutil.copytree(build(name, image_size), tmp_path_factory.mktemp("bundles") / name)))

    return make


@pytest.fixture
def workflow(dataset_dir, monkeypatch) -> Callable[..., ConfigWorkflow]:
    """``workflow(bundle, "train", **overrides)``: a bundle's initialised workflow on the tiny dataset."""
    monkeypatch.setattr(sys, "path", sys.path.copy())

    def make(bundle: Path, config: str, **overrides: Any) -> ConfigWorkflow:
        defaults = {"run_id": "run", "dataset_dir": str(dataset_dir), "image_size": SIZE, "device": "cpu"}
        made = ConfigWorkflow(
            config_file=str(bundle / "configs" / f"{config}.json"),
            workflow_type="train" if config == "train" else "infer",
            logging_file=str(bundle / "configs" / "logging.conf"),
            **{**defaults, "bundle_root": str(bundle), **overrides},
        )
        made.initialize()
        return made

    return make


@pytest.fixture
def one_error_line(capsys) -> Callable[[Callable[[], Any]], str]:
    """``one_error_line(run)`` returns the line that a user sees on stderr if ``run()`` ends the program."""

    def fail(run: Callable[[], Any]) -> str:
        capsys.readouterr()
        with pytest.raises(Exception) as caught:  # noqa: PT011 - MONAI wraps the error; the test is about the shown line
            run()
        capsys.readouterr()
        sys.excepthook(caught.type, caught.value, caught.tb)
        shown = capsys.readouterr().err
        assert shown.startswith("error: "), shown
        assert shown.count("\n") == 1, shown
        return shown

    return fail


@pytest.fixture(scope="session")
def assert_says_the_same() -> Callable[..., None]:
    """``assert_says_the_same(exported, network, images)``: class probabilities within 1e-4, and the same classes.

    Other kernels give other last digits, so a pixel may fall to either class where two are as likely, but for the
    tolerance of 1e-4 that probabilities have.
    """

    def check(exported: Callable[[torch.Tensor], torch.Tensor], network: nn.Module, images: torch.Tensor) -> None:
        with torch.inference_mode():
            logits, expected = exported(images), network(images)
        probs = expected.softmax(dim=1)
        assert probs.std() > 0.005, "a network that says the same everywhere proves nothing"
        torch.testing.assert_close(logits.softmax(dim=1), probs, rtol=0, atol=1e-4)
        first, second = probs.topk(2, dim=1).values.unbind(dim=1)
        decided = first - second > 2e-4
        assert decided.float().mean() > 0.98
        assert torch.equal(logits.argmax(dim=1)[decided], expected.argmax(dim=1)[decided])

    return check


@pytest.fixture(scope="session")
def assert_equal_trainings() -> Callable[[Path, Path], None]:
    """``assert_equal_trainings(whole, parts)``: two output folders, with their ``models``, are bit for bit the same."""

    def check(whole: Path, parts: Path) -> None:
        assert (parts / "training.csv").read_text() == (whole / "training.csv").read_text()
        last = [torch.load(folder / "last.pt", weights_only=True) for folder in (whole, parts)]
        best = [torch.load(folder / "models" / "model.pt", weights_only=True) for folder in (whole, parts)]
        for one, other in ((last[0]["network"], last[1]["network"]), best):
            assert one.keys() == other.keys()
            assert all(torch.equal(value, other[key]) for key, value in one.items())
        assert last[0]["lr_scheduler"] == last[1]["lr_scheduler"]
        assert torch.equal(*(state["random"]["processes"][0]["torch"] for state in last))

    return check


@pytest.fixture
def process_group(tmp_path, monkeypatch):
    """``torch.distributed`` with this process alone, as torchrun would start it."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # torch puts the rank before every error
    monkeypatch.setenv("LOCAL_RANK", "0")
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    idist.sync()
    yield
    idist.finalize()
