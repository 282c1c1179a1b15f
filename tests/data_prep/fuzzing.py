"""Run ``validate`` and ``import`` on damaged files: no traceback, no hang, no output. ``make fuzz`` runs 2,000 files.

Each input is a good case in which one file has flipped bytes or lacks its end. Number and seed decide the damage. A
case that can still be read may be imported. If ``PROSTATE_REAL_DATA`` names real studies, they take part.
"""

import argparse
import contextlib
import io
import os
import random
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from tqdm import tqdm

from custom_components.foundation.files import read_json
from data_prep.__main__ import main

LIMIT_S = 60
FLAGS = ["--site", "S", "--jobs", "0"]


def damage(path: Path, rng: random.Random) -> str:
    """Flip one to eight bytes of a file (half of the time among its first 400) or cut the file; describe the damage."""
    data = bytearray(path.read_bytes())
    if rng.random() < 0.25:
        length = rng.randrange(len(data))
        path.write_bytes(data[:length])
        return f"cut {path.name} to {length} bytes"
    reach = len(data) if rng.random() < 0.5 else min(400, len(data))
    places = [rng.randrange(reach) for _ in range(rng.randint(1, 8))]
    for place in places:
        data[place] ^= rng.randint(1, 255)
    path.write_bytes(data)
    return f"flipped bytes {places} of {path.name}"


def good_inputs(folder: Path) -> dict[str, Path]:
    """One small case in each format and, if there are real data, a real study and a real series."""
    sys.path.insert(0, str(Path(__file__).parent))
    import sources_on_disk as layouts
    from broken_dicom import square, with_mask
    from dicom_studies import gland, segmentation, structure_set

    makers: list[Callable[[Path], Path]] = [
        *(layouts.multi_site, layouts.promise12, layouts.nci_isbi, layouts.i2cvb, layouts.decathlon, layouts.bids)
    ]
    inputs = {make.__name__: make(folder / make.__name__) for make in makers}
    inputs["multi_site"] = inputs["multi_site"] / "RUNMC"
    for name, draw in (
        ("dicom_seg", lambda series: segmentation(series, {"Prostate": gland()})),
        ("dicom_rtstruct", lambda series: structure_set(series, {"Prostate": [square(2), square(3)]})),
    ):
        inputs[name] = folder / name
        with_mask(draw)(inputs[name])
    if real := os.environ.get("PROSTATE_REAL_DATA"):
        study = folder / "real_nifti"
        study.mkdir()
        for path in sorted(Path(real).glob("promise12_multisite/HK/Case*"))[:2]:
            shutil.copy(path, study)
        shutil.copytree(sorted(Path(real).glob("dicom_prostate3t/*"))[0], folder / "real_dicom")
        inputs |= {"real_nifti": study, "real_dicom": folder / "real_dicom"}
    return inputs


def fuzz(count: int, seed: int) -> Counter:
    """Run ``count`` damaged inputs.

    Returns:
        The number of inputs for each pair of exit codes of validate and import.

    Raises:
        AssertionError: if an input gave a traceback, hung, or left a file behind; the message names the input.
    """
    outcomes: Counter = Counter()
    with tempfile.TemporaryDirectory() as scratch, _quiet_c_libraries():
        inputs = good_inputs(Path(scratch, "good"))
        for number in tqdm(range(count), "fuzzing", unit="input", disable=None, file=sys.stdout):
            rng = random.Random(f"{seed} {number}")
            name = rng.choice(sorted(inputs))
            case = Path(scratch, "case")
            shutil.copytree(inputs[name], case)
            # Tables are not damaged, because no reader reads them.
            files = sorted(path for path in case.rglob("*") if path.is_file() and path.suffix != ".tsv")
            what = f"input {number} of seed {seed}, {name}: {damage(rng.choice(files), rng)}"
            outcomes[_run(case, Path(scratch, "out"), what)] += 1
            shutil.rmtree(case)
    return outcomes


def _run(case: Path, out: Path, what: str) -> tuple[int, int]:
    try:
        with _time_limit(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            validated = main(["validate", str(case), *FLAGS])
            imported = main(["import", str(case), *FLAGS, "--keep-ids", "--out", str(out)])
    except BaseException as error:
        raise AssertionError(what) from error
    assert imported in (0, 1, 3), what
    # validate finds a fault exactly if import does.
    assert (validated == 0) == (imported == 0), what
    if imported == 1:
        assert not out.exists(), what
    else:
        cases = read_json(out / "dataset.json")["cases"]
        files = {file for entry in cases for file in (entry["image"], entry["label"]) if file}
        found = {path.relative_to(out).as_posix() for path in out.rglob("*.nii.gz")}
        assert files == found, what
        shutil.rmtree(out)
    return validated, imported


@contextlib.contextmanager
def _time_limit() -> Iterator[None]:
    def stop(signum: int, frame: object) -> None:
        raise TimeoutError(f"still running after {LIMIT_S} s")

    former = signal.signal(signal.SIGALRM, stop)
    signal.alarm(LIMIT_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, former)


@contextlib.contextmanager
def _quiet_c_libraries() -> Iterator[None]:
    """Silence the output of itk's C++ code, which would hide the progress bar."""
    sys.stderr.flush()
    kept = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for (validated, imported), count in sorted(fuzz(options.count, options.seed).items()):
        print(f"{count:5d} inputs: validate {validated}, import {imported}")
