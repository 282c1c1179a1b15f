"""The modules of the page compute what nibabel and the runner compute, on many random cases."""

import io
import json
import subprocess
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import WEB
from nibabel import Nifti1Header
from nibabel.orientations import inv_ornt_aff, io_orientation
from student_runner.components import largest_component
from student_runner.grid import affine_for

SCRIPT = """
import { readFileSync } from "node:fs";
import { affineFor } from "WEB/src/grid.js";
import { largestComponent } from "WEB/src/components.js";
import { affineOf, readHeader } from "WEB/src/nifti_header.js";
import { writeVolume } from "WEB/src/nifti_writer.js";
import { turnToRas, turnedAffine } from "WEB/src/orientation.js";
import { readNotes } from "WEB/src/student_notes.js";
const cases = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify(cases.map((one) => { FUNCTION })));
"""


@pytest.fixture(scope="module")
def run_js() -> Callable[[str, list[Any]], list[Any]]:
    """``run_js(body, cases)``: what the body of a function returns for each case, ``one``."""

    def run(body: str, cases: list[Any]) -> list[Any]:
        script = SCRIPT.replace("WEB", str(WEB)).replace("FUNCTION", body)
        done = subprocess.run(
            ["node", "--input-type=module", "-e", script], input=json.dumps(cases), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def random_rotation(rng):
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return rotation


def random_affine(rng, spacing):
    affine = np.eye(4)
    affine[:3, :3] = random_rotation(rng) * spacing
    affine[:3, 3] = rng.normal(0, 60, 3)
    return affine.astype(np.float32).astype(np.float64)


def test_volumes_turn_to_ras_as_with_nibabel(run_js):
    rng = np.random.default_rng(0)
    cases = [
        {"affine": random_affine(rng, rng.uniform(0.3, 5, 3)).tolist(), "shape": rng.integers(1, 400, 3).tolist()}
        for _ in range(300)
    ]
    body = "const turn = turnToRas(one.affine); return [turn, turnedAffine(one.affine, one.shape, turn)];"
    for case, (turn, affine) in zip(cases, run_js(body, cases), strict=True):
        expected = io_orientation(np.array(case["affine"]))
        assert [[axis["to"], axis["flip"]] for axis in turn] == expected.tolist()
        np.testing.assert_allclose(affine, case["affine"] @ inv_ornt_aff(expected, case["shape"]), atol=1e-9)


@pytest.mark.parametrize("degrees", [0, 12, -31])
def test_the_grid_has_the_shape_of_the_runners(run_js, degrees):
    """384 voxels of 0.5 mm are 192.5 pixels of 1 mm: the last digits decide."""
    angle = np.deg2rad(degrees)
    tilt = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    cases = []
    for seed in range(200):
        affine = np.eye(4)
        affine[:3, :3] = tilt * ((0.5, 0.25, 3) if seed % 2 else (0.6, 0.7, 3))
        affine[:3, 3] = np.random.default_rng(seed).normal(0, 40, 3)
        cases.append(
            {"affine": affine.astype(np.float32).astype(float).tolist(), "shape": [4 * seed + 2, 2 * seed + 2, 5]}
        )
    given = run_js("return affineFor(one.affine, one.shape, 1.0);", cases)
    others = 0
    for case, affine in zip(cases, given, strict=True):
        expected = affine_for(np.array(case["affine"]), tuple(case["shape"]), 1.0)
        others += not np.allclose(affine, expected, rtol=1e-7, atol=1e-9)
    assert others == 0


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_the_largest_component_is_that_of_the_runner(run_js, share):
    rng = np.random.default_rng(int(share * 100))
    masks = [(rng.random(rng.integers(1, 9, 3)) < share).astype(np.uint8) for _ in range(100)]
    cases = [{"mask": mask.ravel().tolist(), "shape": mask.shape} for mask in masks]
    kept = run_js("return [...largestComponent(Uint8Array.from(one.mask), one.shape)];", cases)
    for mask, own in zip(masks, kept, strict=True):
        assert own == largest_component(mask).ravel().tolist()


def test_a_header_without_sform_has_nibabels_affine(run_js):
    rng = np.random.default_rng(3)
    headers = []
    for number in range(60):
        header = Nifti1Header(endianness="<>"[number % 2])
        header.set_data_shape((5, 6, 7))
        header.set_data_dtype(np.int16)
        affine = random_affine(rng, rng.uniform(0.3, 5, 3))
        if number % 3 == 0:
            header.set_zooms(rng.uniform(0.3, 5, 3))  # neither sform nor qform
        else:
            header.set_qform(affine, code=1)
            header.set_sform(affine + 1, code=number % 3 - 1)
        header["magic"], header["vox_offset"] = b"n+1", 352
        headers.append(header)
    cases = [list(header.binaryblock + b"\0\0\0\0") for header in headers]
    for header, affine in zip(
        headers, run_js("return affineOf(readHeader(Uint8Array.from(one)));", cases), strict=True
    ):
        np.testing.assert_allclose(affine, header.get_best_affine(), atol=1e-5)


def test_a_written_header_has_the_affine_twice(run_js):
    rng = np.random.default_rng(4)
    affines = [random_affine(rng, rng.uniform(0.3, 5, 3)) for _ in range(100)]
    body = "return [...writeVolume(new Uint8Array(2), [1, 2, 1], one, 'mask').subarray(0, 348)];"
    for affine, header in zip(affines, run_js(body, [one.tolist() for one in affines]), strict=True):
        read = Nifti1Header.from_fileobj(io.BytesIO(bytes(header)))
        np.testing.assert_allclose(read.get_sform(), affine, atol=1e-6)
        np.testing.assert_allclose(read.get_qform(), affine, atol=2e-4)
        assert (read.get_data_shape(), read.get_data_dtype()) == ((1, 2, 1), np.uint8)
