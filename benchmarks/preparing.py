"""Preparing of volumes: one process, threads, worker processes, and two processes of a training together."""

import os
import shutil
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import torch
from monai.transforms import Compose

from benchmarks.measure import Figure, in_turn, ratios
from custom_components.bundle import SHIPPED_BUNDLES
from custom_components.bundle.parsing import parse_config
from custom_components.data import prepare_cases
from custom_components.forked_python import SERVER
from data_prep.phantom.command import make_phantom

Cases = Sequence[Mapping[str, Any]]


def measure(quick: bool = False) -> list[Figure]:
    """Prepare the same phantom volumes in each way, in turn.

    Raises:
        AssertionError: if two ways do not write the same files.
    """
    size, slices, per_site, rounds = (32, 4, 1, 1) if quick else (384, 24, 4, 3)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_phantom(folder / "raw", cases_per_site=per_site, matrix=size, slices=slices)
        masks = sorted((folder / "raw").glob("*/*_segmentation.nii.gz"))
        cases = [{"image": str(mask).replace("_segmentation", ""), "label": str(mask)} for mask in masks]
        config = SHIPPED_BUNDLES / "enet" / "configs" / "preprocessing.json"
        preprocessing = parse_config(config, {"image_size": size}).get_parsed_content("preprocessing")
        ways: dict[str, Callable[[Path], object]] = {
            "one worker process": partial(prepare_cases, cases, preprocessing, jobs=1),
            "threads": partial(prepare_cases, cases, preprocessing),
            "two worker processes": partial(prepare_cases, cases, preprocessing, jobs=2),
            "two processes of a training": partial(_in_two_ranks, cases, preprocessing),
        }
        made = {way: _files(run, folder / "once" / str(number)) for number, (way, run) in enumerate(ways.items())}
        assert len({tuple(sorted(files.items())) for files in made.values()}) == 1
        times = in_turn(rounds, *(partial(_afresh, run, folder / "cache") for run in ways.values()), warm_up=False)
    took = dict(zip(ways, times, strict=True))
    one = took["one worker process"]
    parts = {f"{way}, volumes/s": len(cases) / statistics.median(seconds) for way, seconds in took.items()}
    what = f"preparing of {len(cases)} volumes of {size}x{size}x{slices}, time"
    return [
        Figure(f"{what}: {way} / one worker process", ratios(took[way], one), 0.7, parts=parts)
        for way in ways
        if way != "one worker process"
    ]


def _afresh(run: Callable[[Path], object], cache: Path) -> None:
    shutil.rmtree(cache, ignore_errors=True)
    run(cache_dir=cache)


def _files(run: Callable[[Path], object], cache: Path) -> dict[str, bytes]:
    run(cache_dir=cache)
    return {file.name: file.read_bytes() for file in cache.glob("*.nii")}


def _in_two_ranks(cases: Cases, preprocessing: Compose, cache_dir: Path) -> None:
    with tempfile.TemporaryDirectory() as store, SERVER.Pool(2) as pool:
        pool.starmap(_rank, [(rank, Path(store), cases, preprocessing, cache_dir) for rank in range(2)], chunksize=1)


def _rank(rank: int, store: Path, cases: Cases, preprocessing: Compose, cache_dir: Path) -> None:
    os.environ |= {"LOCAL_WORLD_SIZE": "2", "LOCAL_RANK": str(rank)}  # as torchrun says it
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}/store", rank=rank, world_size=2)
    idist.sync()
    try:
        prepare_cases(cases, preprocessing, cache_dir)
    finally:
        idist.finalize()
