"""Bring the raw studies of a site, or of several, into one canonical dataset.

Bad cases are quarantined with their reason, the others imported; the same command again goes on where it was stopped
and reads only what is new, changed or quarantined. Exit code 0: all imported; 1: nothing; 3: some quarantined.
"""

import argparse
import hashlib
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from tqdm import tqdm

from custom_components.errors import InputError
from data_prep import parallel, sources
from data_prep.case_import import CaseImport, ImportedCase, import_case
from data_prep.checks import lost_finding, same_image_finding, taken_name_finding
from data_prep.dataset_writer import DatasetWriter, header
from data_prep.findings import SOME_FINDINGS, Finding
from data_prep.import_summary import ImportSummary
from data_prep.parallel import Late, in_processes
from data_prep.pseudonyms import KEY_FILE, Pseudonyms, load_key
from data_prep.quarantine import Quarantine, read_quarantine, write_quarantine
from data_prep.sources.case import Listing

WHOLE = (1, 1)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of ``import``."""
    parser.add_argument("folder", type=Path, help="raw folder")
    parser.add_argument("--out", type=Path, required=True, metavar="DATASET", help="dataset folder to make or add to")
    sources.add_arguments(parser)
    parser.add_argument("--n4", action="store_true", help="correct the bias field by N4 (slow)")
    parallel.add_arguments(parser)
    parser.add_argument("--shard", type=_shard, default=WHOLE, metavar="I/N", help="import only the I-th of N parts")
    ids = parser.add_mutually_exclusive_group()
    ids.add_argument("--keep-ids", action="store_true", help="keep the names of cases and patients: nothing is hashed")
    ids.add_argument("--key-file", type=Path, default=KEY_FILE, metavar="FILE", help=f"key of the hashes ({KEY_FILE})")


def run(options: argparse.Namespace) -> int:
    """Run ``import`` from the command line."""
    if not options.keep_ids and options.key_file.expanduser().resolve().is_relative_to(options.out.resolve()):
        raise InputError(f"{options.key_file}: the key must never lie in the dataset; give another --key-file")
    listing = sources.find_cases(options.folder, options.site, options.source, sources.options_of(options))
    pseudonyms = Pseudonyms(None if options.keep_ids else load_key(options.key_file))
    if not options.site_folders:
        pseudonyms.require_sites(listing, options.folder)
    quarantined = import_listing(
        listing, options.folder, options.out, pseudonyms, options.n4, options.jobs, options.shard, options.time_limit
    )
    return SOME_FINDINGS if quarantined else 0


def import_dataset(folder: Path, dataset: Path, site: str | None = None, source: str | None = None) -> list[Finding]:
    """Import a raw folder in this process, with its own names; see :func:`import_listing`."""
    return import_listing(sources.find_cases(folder, site, source), folder, dataset, Pseudonyms(None))


def import_listing(
    listing: Listing,
    folder: Path,
    dataset: Path,
    pseudonyms: Pseudonyms,
    n4: bool = False,
    jobs: int = 0,
    shard: tuple[int, int] = WHOLE,
    limit_s: float | None = None,
) -> list[Finding]:
    """Write ``images/``, ``labels/``, ``dataset.json`` and, where something is faulty, ``quarantine.json``.

    Images keep their voxels and type (float32 after N4), masks become uint8 0/1, headers keep the affine and lose all
    text. What the dataset already holds stays, unless its files changed and are sound: a case that went bad is
    quarantined, and its former version stays. A raw folder that was moved is another folder: its unchanged cases stay,
    of the changed ones the name is taken.

    Args:
        listing: what a source found in ``folder``.
        folder: raw folder.
        dataset: dataset folder, made if need be.
        pseudonyms: names of cases and patients in the dataset.
        n4: whether to correct the bias field.
        jobs: worker processes; 0 works in this process.
        shard: number, from 1, and count of the parts of which one is imported.
        limit_s: seconds that a worker process may take for a case.

    Returns:
        Why cases were not imported.

    Raises:
        InputError: with one line for each finding, when not one case can be imported into a new dataset; nothing is
            written then. A shard may be empty: ``merge`` wants every part, and its findings.
    """
    quarantine = Quarantine(folder, pseudonyms)
    for finding in listing.findings:
        if _in_shard(quarantine.file_id(finding), shard):
            quarantine.add_file(finding)
    cases = {name: case for case in listing.cases if _in_shard(name := pseudonyms.case_id(case), shard)}

    with DatasetWriter(dataset, header(dataset.name, pseudonyms.scheme, n4)) as writer:
        todo = []
        for name in sorted(cases):
            case, former = cases[name], writer.cases.get(name)
            origin = pseudonyms.origin(case, folder)
            if former and former.get("origin") == origin:
                continue
            if former and former.get("folder") != quarantine.folder_id:
                quarantine.add_case(case, [taken_name_finding(case.image)])
            else:
                todo.append(CaseImport(name, pseudonyms.patient_id(case), quarantine.folder_id, origin, case))
        work = partial(import_case, staging=writer.staging, keep_source=pseudonyms.key is None, n4=n4)
        others = [
            row
            for row in read_quarantine(dataset)
            if row.get("folder") != quarantine.folder_id or not _in_shard(row["case"], shard)
        ]
        results = in_processes(work, todo, jobs, limit_s)
        summary = _take_in(writer, quarantine, tqdm(results, "importing", len(todo), unit="case", disable=None), todo)
        if not writer.cases and shard == WHOLE:
            lines = [*map(str, quarantine.findings), f"{folder}: no case could be imported; nothing was written"]
            raise InputError("\n".join(lines))
        write_quarantine(dataset, others + quarantine.rows)
        writer.finish()
    summary.tell(listing.notes, quarantine.findings, dataset, writer.cases)
    return quarantine.findings


def _take_in(
    writer: DatasetWriter,
    quarantine: Quarantine,
    results: Iterable[tuple[CaseImport, ImportedCase | Late | None]],
    todo: list[CaseImport],
) -> ImportSummary:
    """Take each case into the dataset or put it into quarantine, in the order of their names.

    Where a case of the dataset went bad, its former version stays, unless that image just came in under another name.
    """
    summary = ImportSummary()
    again = {task.name for task in todo}
    images = {entry["voxel_sha256"]: name for name, entry in writer.cases.items() if name not in again}
    for task, imported in results:
        if not isinstance(imported, ImportedCase):
            findings = [lost_finding(task.case.image, imported)]
        elif imported.entry and (first := images.setdefault(imported.entry["voxel_sha256"], task.name)) != task.name:
            findings = [same_image_finding(task.case.image, first)]
        else:
            findings = imported.findings
        if findings:
            writer.discard(task.name)
            quarantine.add_case(task.case, findings)
            former = writer.cases.get(task.name)
            if former and images.setdefault(former["voxel_sha256"], task.name) != task.name:
                writer.remove(task.name)
        else:
            writer.add(imported.entry)
            summary.add(imported)
    return summary


def _in_shard(name: str, shard: tuple[int, int]) -> bool:
    number, count = shard
    return int(hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest(), 16) % count == number - 1


def _shard(text: str) -> tuple[int, int]:
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise argparse.ArgumentTypeError(f"{text!r} is not I/N with I from 1 to N, such as 3/16")
    return int(number), int(count)
