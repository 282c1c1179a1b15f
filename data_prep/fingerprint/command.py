"""Describe a dataset: figures and plots of each site, the outliers, and a picture of each case.

Writes the page fingerprint.html, which loads no other file, fingerprint.json with the numbers, and contact_sheet.png.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from tqdm import tqdm

from custom_components.foundation.errors import InputError
from custom_components.foundation.files import replace_file, write_json, write_text
from data_prep.dataset_file import read_dataset
from data_prep.fingerprint.contact_sheet import PER_SHEET, Tile, contact_sheet, largest_slice
from data_prep.fingerprint.dataset_sections import dataset_sections, dataset_summary
from data_prep.fingerprint.measuring import GROUPS, Case, by_site, measure, read_case, summarise
from data_prep.fingerprint.outliers import Outlier, find_outliers
from data_prep.fingerprint.spread_plots import site_colours
from reporting.blocks import Picture
from reporting.html_page import html_page
from reporting.plots import png

SHEETS_ON_PAGE = 3  # more pictures would make the page of a thousand cases too large to open


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of ``fingerprint``."""
    parser.add_argument("dataset", type=Path, help="dataset folder, as import makes it")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where to write (default: <dataset>/fingerprint)")


def run(options: argparse.Namespace) -> int:
    """Run ``fingerprint`` from the command line."""
    out = options.out or options.dataset / "fingerprint"
    print(f"{out / 'fingerprint.html'}: {fingerprint(options.dataset, out)}")
    return 0


def fingerprint(dataset: Path, out: Path) -> str:
    """Writes the fingerprint of a dataset and replaces an earlier one. Memory holds one case and one sheet at a time.

    Returns:
        A sentence with the numbers of cases, sites, masks and outliers.

    Raises:
        InputError: when dataset.json has no case, a file of a case cannot be read, or ``out`` is a file.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; name a folder")
    entries = _entries(dataset)
    cases = [measure(dataset, entry) for entry in tqdm(entries, "measuring", unit="case", disable=None)]
    sites = by_site(cases)
    outliers = find_outliers(sites)
    out.mkdir(parents=True, exist_ok=True)
    names, shown = [], []
    for figure in _sheets(dataset, entries, sites, outliers):
        names.append(f"contact_sheet_{len(names) + 1}.png" if names else "contact_sheet.png")
        picture = png(figure)
        replace_file(out / names[-1], lambda partial, picture=picture: partial.write_bytes(picture))
        if len(shown) < SHEETS_ON_PAGE:
            shown.append(Picture(figure, f"Contact sheet {len(names)}"))
        else:
            figure.clear()  # reference cycles would keep the pictures in memory until the next garbage collection
    for left_over in {path.name for path in out.glob("contact_sheet_*.png")} - set(names):
        (out / left_over).unlink()
    write_json(out / "fingerprint.json", _numbers(dataset, sites, outliers))
    sections = dataset_sections(sites, outliers, shown, further_sheets=names[SHEETS_ON_PAGE:])
    summary = dataset_summary(sites, outliers)
    write_text(out / "fingerprint.html", html_page(f"Fingerprint of {_name(dataset)}", summary, sections))
    return summary


def _entries(dataset: Path) -> list[dict[str, Any]]:
    entries = read_dataset(dataset)["cases"]
    if not entries:
        raise InputError(f"{dataset / 'dataset.json'}: has no case; import some")
    return sorted(entries, key=lambda entry: (entry["site"], entry["case"]))


def _sheets(
    dataset: Path, entries: Sequence[dict], sites: Mapping[str, Sequence[Case]], outliers: Sequence[Outlier]
) -> Iterator[Figure]:
    colours = site_colours(list(sites))
    marks: dict[str, list[str]] = {}
    for title, quantities in GROUPS.items():
        for case in sorted({outlier.case for outlier in outliers if outlier.quantity in quantities}):
            marks.setdefault(case, []).append(title.lower())
    progress = tqdm(total=len(entries), desc="drawing", unit="case", disable=None)
    for start in range(0, len(entries), PER_SHEET):
        tiles = []
        for entry in entries[start : start + PER_SHEET]:
            _, stack, mask = read_case(dataset, entry)
            pictured = largest_slice(stack, mask)
            tiles.append(Tile(entry["case"], colours[entry["site"]], *pictured, marks.get(entry["case"], ())))
            progress.update()
        yield contact_sheet(tiles)
    progress.close()


def _numbers(dataset: Path, sites: Mapping[str, Sequence[Case]], outliers: Sequence[Outlier]) -> dict[str, Any]:
    cases = [case for site in sites.values() for case in site]
    return {
        "dataset": _name(dataset),
        "all": summarise(cases),
        "sites": {site: summarise(group) for site, group in sites.items()},
        "cases": [{"case": case.name, "site": case.site, **case.values} for case in cases],
        "outliers": [
            {
                "case": found.case,
                "site": found.site,
                "quantity": found.quantity.key,
                "value": found.value,
                "usual": [round(end, 4) for end in found.usual],
                "z": round(found.z, 2),
            }
            for found in outliers
        ],
    }


def _name(dataset: Path) -> str:
    return dataset.resolve().name
