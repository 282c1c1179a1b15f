"""The forecast of the disk space that cached teachers take."""

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from custom_components.bundle import SHIPPED_BUNDLES, read_bundle
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import read_json
from custom_components.losses import DistillationLoss
from custom_components.losses.term import Output
from data_prep.dataset_file import read_dataset
from experiments.disk import answer_bytes, bytes_of_answer, say_disk_use
from experiments.inputs import Inputs
from experiments.plan import Plan, Row
from experiments.splits import new_splits

EPOCHS = "train::trainer::max_epochs"
CACHED = {EPOCHS: 1, "cache_teachers": True}
ROWS = (
    Row("big", "Big", "teacher", "mobilenetv2", settings={EPOCHS: 1}),
    Row("enet", "ENet", "student", "enet", teachers=("big",), settings=CACHED),
    Row("again", "ENet, other loss", "student", "enet", teachers=("big",), settings={**CACHED, "loss::beta": 2}),
    Row("views", "ENet, views", "student", "enet", teachers=("big",), settings={**CACHED, "augmentation_views": 4}),
    Row("plain", "ENet, no cache", "student", "enet", teachers=("big",), settings={EPOCHS: 1}),
)
PLAN = Plan("Tiny", 32, None, (50, 25, 25), 0, "test", None, (), ROWS)


@pytest.fixture
def inputs(dataset_dir, tmp_path):
    dataset = shutil.copytree(dataset_dir, tmp_path / "dataset", ignore=shutil.ignore_patterns("splits", "prepared"))
    (tmp_path / "out").mkdir()
    with new_splits(PLAN, dataset, tmp_path / "out"):
        pass
    return Inputs(PLAN, dataset, tmp_path / "out", ROWS)


@pytest.mark.parametrize("size", [32, 64, 72])
def test_an_answers_size_is_that_of_its_tensors(size):
    student = read_bundle("enet", SHIPPED_BUNDLES)
    features = [torch.zeros(1, 3, -(-size // stride), -(-size // stride)) for stride in (2, 8)]
    answer = DistillationLoss().answer(Output(torch.zeros(1, 2, size, size), features), torch.zeros(1, 1, size, size))
    tensors = [answer.logits, *(tensor for own in answer.summaries.values() for tensor in own)]
    assert bytes_of_answer(student, size) == sum(tensor.nbytes for tensor in tensors)


def test_a_slice_at_384_takes_a_megabyte_and_a_third():
    assert bytes_of_answer(read_bundle("enet", SHIPPED_BUNDLES), 384) == 4 * (2 * 384**2 + 192**2 + 48**2) + 10


def test_rows_with_the_same_answers_share_them(inputs):
    depths = {case["case"]: case["shape"][2] for case in read_dataset(inputs.dataset)["cases"]}
    slices = sum(depths[case["case"]] for case in read_json(inputs.all_cases(ROWS[0]))["training"])
    one = slices * bytes_of_answer(read_bundle("enet", SHIPPED_BUNDLES), 32)
    by_name = {row.name: row for row in ROWS}
    assert answer_bytes([by_name["plain"]], inputs) == 0
    assert answer_bytes([by_name["enet"], by_name["again"]], inputs) == one
    assert answer_bytes(ROWS, inputs) == one + 4 * one
    two = replace(by_name["enet"], teachers=("big", "other"))
    assert answer_bytes([two], inputs) == 2 * one


def test_images_without_masks_count_where_a_row_learns_from_them(inputs):
    file = inputs.all_cases(ROWS[0])
    split = read_json(file)
    moved = split["training"].pop()
    file.write_text(json.dumps({**split, "unlabeled": [moved]}))
    row = replace(ROWS[1], settings={**CACHED, "unlabeled": True})
    depths = {case["case"]: case["shape"][2] for case in read_dataset(inputs.dataset)["cases"]}
    more = depths[moved["case"]] * bytes_of_answer(read_bundle("enet", SHIPPED_BUNDLES), 32)
    assert answer_bytes([row], inputs) == answer_bytes([ROWS[1]], inputs) + more


def test_the_line_names_the_space_and_a_full_disk_is_refused(inputs, monkeypatch):
    assert say_disk_use(ROWS[:1], inputs) is None
    line = say_disk_use(ROWS, inputs)
    assert line.startswith("the teachers' answers take up to 0.00 GB in ")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1000))
    with pytest.raises(
        InputError, match=r"\A--dataset: the teachers' answers take up to .*, where 0\.00 GB are free; "
    ):
        say_disk_use(ROWS, inputs)
    # A study that was started before has already stored the answers.
    stored = inputs.dataset / "prepared" / "teachers" / "big" / "case.npy"
    stored.parent.mkdir(parents=True)
    stored.write_bytes(bytes(answer_bytes(ROWS, inputs)))
    assert say_disk_use(ROWS, inputs)
