"""The disk space that the teachers' answers of a study will take, computed before the study starts."""

import re
import shutil
from collections.abc import Iterable

from custom_components.bundle import SHIPPED_BUNDLES, Bundle, read_bundle
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import read_json
from data_prep.dataset_file import read_dataset
from experiments.inputs import Inputs
from experiments.plan import Row

FLOAT, FLAG = 4, 1  # bytes


def say_disk_use(rows: Iterable[Row], inputs: Inputs) -> str | None:
    """A line with the largest space that the cached answers of the rows' teachers can take; None if no row caches any.

    Raises:
        InputError: if the answers do not fit on the disk.
    """
    needed = answer_bytes(rows, inputs)
    if not needed:
        return None
    folder = inputs.dataset / "prepared" / "teachers"
    kept = sum(file.stat().st_size for file in folder.rglob("*.npy"))
    free = shutil.disk_usage(inputs.dataset).free
    sizes = f"up to {needed / 2**30:.2f} GB in {folder}"
    if needed > free + kept:
        raise InputError(
            f"the teachers' answers take {sizes}, where {free / 2**30:.2f} GB are free",
            "--dataset",
            advice="take a smaller --size, fewer rows (--only), or a plan without cache_teachers",
        )
    return f"the teachers' answers take {sizes}, {free / 2**30:.2f} GB are free"


def answer_bytes(rows: Iterable[Row], inputs: Inputs) -> int:
    """The size in bytes of all answers that the rows' caches keep; rows with the same answers share them."""
    depths = {case["case"]: case["shape"][2] for case in read_dataset(inputs.dataset)["cases"]}
    sizes: dict[tuple, int] = {}
    for row in rows:
        if not row.settings.get("cache_teachers"):
            continue
        student = read_bundle(row.bundle, SHIPPED_BUNDLES)
        views = row.settings.get("augmentation_views") or 1
        split = read_json(inputs.datalist(row))
        cases = split["training"] + (split.get("unlabeled", []) if row.settings.get("unlabeled") else [])
        slices = sum(depths[case["case"]] for case in cases)
        for teacher in row.teachers:
            answers = (teacher, tuple(student.taps), views, inputs.datalist(row), len(cases))
            sizes[answers] = slices * views * bytes_of_answer(student, inputs.plan.image_size)
    return sum(sizes.values())


def bytes_of_answer(student: Bundle, image_size: int) -> int:
    """The bytes of an answer for one slice: logits of all classes, and for each tap an importance map and contrasts."""
    classes = student.out_channels
    pairs = classes * (classes - 1) // 2
    size = classes * image_size**2 * FLOAT
    for tap in student.taps:
        stride = int(re.search(r"\d+$", tap)[0])  # stride2, stride8
        size += (-(-image_size // stride)) ** 2 * FLOAT + pairs * (FLOAT + FLAG)
    return size
