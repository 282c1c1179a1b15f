"""Import the raw studies of one or several sites into a canonical dataset.

Bad cases are quarantined with their reasons, and the others are imported. The same command, run again, goes on after an
interruption, and reads only cases that are new, changed or quarantined. Exit code 0: all cases were imported; 1: no
case; 3: some cases were quarantined.
"""

import argparse
import hashlib
from collections.abc import Collection, Iterable
from functools import partial
from pathlib import Path

from tqdm import tqdm

from custom_components.foundation.errors import InputError
from custom_components.jobs.cluster_file import read_cluster_file
from custom_components.jobs.place import add_where, place_of, require_no_cluster_file_here
from data_prep import parallel, sources
from data_prep.case_import import CaseImport, ImportedCase, import_case
from data_prep.checks import same_image_finding, taken_name_finding
from data_prep.cluster_import import PARTS, import_in_jobs
from data_prep.dataset_writer import DatasetWriter, header
from data_prep.findings import SOME_FINDINGS, Finding
from data_prep.import_summary import ImportSummary
from data_prep.listing import is_listing, read_listing
from data_prep.parallel import Late, in_processes, lost_finding
from data_prep.pseudonyms import KEY_FILE, Pseudonyms, load_key
from data_prep.quarantine import Quarantine, read_quarantine, write_quarantine
from data_prep.sources.case import Listing, SourceOptions

WHOLE = (1, 1)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command line of ``import``."""
    parser.add_argument("folder", type=Path, help="raw folder, or a file of the command list")
    parser.add_argument("--out", type=Path, required=True, metavar="DATASET", help="dataset folder to make or add to")
    sources.add_arguments(parser)
    parser.add_argument("--n4", action="store_true", help="correct the bias field by N4 (slow)")
    parallel.add_arguments(parser, f"; on a cluster, number of jobs that import cases ({PARTS})")
    add_where(parser)
    parser.add_argument("--shard", type=_shard, default=WHOLE, metavar="I/N", help="import only the I-th of N parts")
    ids = parser.add_mutually_exclusive_group()
    ids.add_argument("--keep-ids", action="store_true", help="keep the names of cases and patients: nothing is hashed")
    ids.add_argument("--key-file", type=Path, default=KEY_FILE, metavar="FILE", help=f"key of the hashes ({KEY_FILE})")


def run(options: argparse.Namespace) -> int:
    """Run ``import`` from the command line."""
    if not options.keep_ids and options.key_file.expanduser().resolve().is_relative_to(options.out.resolve()):
        raise InputError(f"{options.key_file}: the key must never lie in the dataset; give another --key-file")
    if options.n4:
        from data_prep.bias_field import require_n4  # itk takes seconds to load, and few imports need it

        require_n4()
    pseudonyms = Pseudonyms(None if options.keep_ids else load_key(options.key_file))
    require_no_cluster_file_here(options.on, options.cluster)
    if options.on != "local":
        return _import_on_cluster(options)
    if options.jobs is None:
        options.jobs = parallel.available_cores()
    folder, listing = _listing_of(options)
    if not options.site_folders:
        pseudonyms.require_sites(listing, folder)
    quarantined = import_listing(
        listing, folder, options.out, pseudonyms, options.n4, options.jobs, options.shard, options.time_limit
    )
    return SOME_FINDINGS if quarantined else 0


def _import_on_cluster(options: argparse.Namespace) -> int:
    if options.shard != WHOLE or is_listing(options.folder):
        raise InputError(f"--on {options.on}: lists the folder and makes the parts itself; give the folder, no --shard")
    if options.jobs == 0:
        raise InputError(f"--on {options.on} --jobs 0: give at least 1")
    settings = read_cluster_file(options.cluster)
    place = place_of(argparse.Namespace(on=options.on, cluster=options.cluster, jobs=None))
    return import_in_jobs(options, place, settings.cpus, options.jobs or PARTS)


def _listing_of(options: argparse.Namespace) -> tuple[Path, Listing]:
    """The raw folder and its listing, made before by ``list`` or made now."""
    of_source = sources.options_of(options)
    if not is_listing(options.folder):
        found = sources.find_cases(options.folder, options.site, options.source, of_source, options.jobs)
        return options.folder, found
    if options.site or options.source or options.site_folders or of_source != SourceOptions():
        raise InputError("is a listing; give --site, --source and the like to the command list", options.folder)
    return read_listing(options.folder)


def import_dataset(folder: Path, dataset: Path, site: str | None = None, source: str | None = None) -> list[Finding]:
    """Import a raw folder in this process and keep the source's names; see :func:`import_listing`."""
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
    """Write ``images/``, ``labels/``, ``dataset.json`` and, if there are findings, ``quarantine.json``.

    Images keep their voxels and type (float32 after N4), masks become uint8 0/1, and headers keep the affine and lose
    all text. A case that the dataset already holds is replaced only if its raw files changed and have no faults. If the
    changed files have faults, the case is quarantined and its former version stays. A moved raw folder counts as
    another folder: unchanged cases stay, and changed cases are quarantined because their names are already used.

    Args:
        listing: the cases and findings of a source in ``folder``.
        folder: raw folder.
        dataset: dataset folder; made if missing.
        pseudonyms: makes the names of cases and patients in the dataset.
        n4: whether to correct the bias field.
        jobs: number of worker processes; 0 means this process.
        shard: (i, n) imports the i-th of n parts, counted from 1.
        limit_s: most seconds that a worker process may take for a case.

    Returns:
        The findings: the reasons why cases were not imported.

    Raises:
        InputError: if no case can be imported into a new dataset. The message has one line for each finding, and
            nothing is written. A shard may be empty, because ``merge`` needs every part and its findings.
    """
    quarantine = Quarantine(folder, pseudonyms)
    for finding in listing.findings:
        if _in_shard(quarantine.file_id(finding), shard):
            quarantine.add_file(finding)
    places = {}
    for place, case in enumerate(listing.cases):
        if _in_shard(name := pseudonyms.case_id(case), shard):
            places[name] = place

    with DatasetWriter(dataset, header(dataset.name, pseudonyms.scheme, n4)) as writer:
        origins = {}
        for name in sorted(places):
            case, former = listing.cases[places[name]], writer.cases.get(name)
            origin = pseudonyms.origin(case, folder)
            if former and former.get("origin") == origin:
                continue
            if former and former.get("folder") != quarantine.folder_id:
                quarantine.add_case(case, [taken_name_finding(case.image)])
            else:
                origins[name] = origin
        # A case is made when a worker is free for it, because all cases of an archive may not fit in memory.
        todo = (
            CaseImport(name, pseudonyms.patient_id(case), quarantine.folder_id, origin, case)
            for name, origin in origins.items()
            for case in [listing.cases[places[name]]]
        )
        work = partial(import_case, staging=writer.staging, keep_source=pseudonyms.key is None, n4=n4)
        others = [
            row
            for row in read_quarantine(dataset)
            if row.get("folder") != quarantine.folder_id or not _in_shard(row["case"], shard)
        ]
        results = in_processes(work, todo, jobs, limit_s)
        results = tqdm(results, "importing", len(origins), unit="case", disable=None)
        summary = _take_in(writer, quarantine, results, origins.keys())
        if not writer.cases and shard == WHOLE:
            lines = [*map(str, quarantine.findings), f"{folder}: no case could be imported; nothing was written"]
            raise InputError("\n".join(lines))
        write_quarantine(dataset, others + quarantine.rows)
        writer.finish()
    summary.tell(listing, quarantine.findings, dataset, writer.cases)
    return quarantine.findings


def _take_in(
    writer: DatasetWriter,
    quarantine: Quarantine,
    results: Iterable[tuple[CaseImport, ImportedCase | Late | None]],
    again: Collection[str],
) -> ImportSummary:
    """Add each case to the dataset or quarantine it, in the order of the names.

    ``again`` holds the names of the cases to import. If a case of the dataset has become faulty, its former version
    stays, unless this import has added the same image under another name.
    """
    summary = ImportSummary()
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
