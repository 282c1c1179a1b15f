"""The summary that an import prints at its end."""

import sys
from collections import Counter
from pathlib import Path
from typing import Any

from data_prep.case_import import ImportedCase
from data_prep.findings import Finding
from data_prep.sources.case import MOST_NOTES, Listing


def print_notes(listing: Listing) -> None:
    """Print a source's notes on files and series that it did not import."""
    for note in listing.notes[:MOST_NOTES]:
        print(note)
    if more := len(listing.notes[MOST_NOTES:]) + listing.untold:
        print(f"and {more} more like these")


class ImportSummary:
    """Counts the imported cases and prints a summary."""

    def __init__(self) -> None:
        self._labels: dict[str, list[tuple[int, ...] | None]] = {}
        self._rounded: Counter[str] = Counter()

    def add(self, imported: ImportedCase) -> None:
        """Count an imported case."""
        self._labels.setdefault(imported.entry["site"], []).append(imported.labels)
        self._rounded[imported.entry["site"]] += imported.is_rounded

    def tell(self, listing: Listing, findings: list[Finding], dataset: Path, cases: dict[str, Any]) -> None:
        """Print findings to stderr, and everything else to stdout."""
        print_notes(listing)
        for site, labels in sorted(self._labels.items()):
            merged = [values for values in labels if values and len(values) > 1]
            if merged:
                shown = " and ".join(str(value) for value in sorted(set().union(*merged)))
                print(f"{site}: labels {shown} merged into one prostate label in {len(merged)} of {len(labels)} cases")
            if rounded := self._rounded[site]:
                print(f"{site}: values of {rounded} of {len(labels)} masks rounded to whole numbers (1.0000001 is 1)")
            if unlabelled := labels.count(None):
                print(f"{site}: {unlabelled} of {len(labels)} cases have no mask; split lists them as unlabeled")
        for finding in findings:
            print(f"quarantined: {finding}", file=sys.stderr)
        new = sum(map(len, self._labels.values()))
        sites = len({entry["site"] for entry in cases.values()})
        quarantined = f", {len(findings)} findings in quarantine.json" if findings else ""
        print(f"{dataset}: {len(cases)} cases of {sites} sites ({new} new{quarantined})")
