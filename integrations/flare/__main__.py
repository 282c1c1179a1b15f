"""``python -m integrations.flare student | teachers | distil``: a simulation of hospitals that share weights.

Exit codes: 0 done; 1 not done, the line on stderr says why; 2 wrong usage; 130 interrupted.
"""

import argparse
import json
import re
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from custom_components.bundle import copy_bundle
from custom_components.bundle.weights import recorded_provenance
from custom_components.foundation.errors import InputError, OneLineError
from custom_components.unlabeled_options import CHOICES
from integrations.flare.hospital import DistillingHospital, StudentHospital, TeacherHospital, check_settings
from integrations.flare.server import FederatedAveraging, StudentCollection, TeacherCollection
from integrations.flare.simulation import check_dataset, simulate


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    options.out = options.out.resolve()
    try:
        _check_numbers(options)
        options.hospitals = _datasets(options)
        options.command(options)
    except OneLineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    return 0


def student(options: argparse.Namespace) -> None:
    """All hospitals train one student together."""
    settings = _settings(options.set)
    common = options.out / "bundles" / options.bundle
    copy_bundle(options.bundle, common, options.size)
    hospitals = {
        name: StudentHospital(_own_copy(options, name, options.bundle), str(dataset), options.epochs, settings)
        for name, dataset in options.hospitals.items()
    }
    simulate("student", FederatedAveraging(str(common), options.rounds), hospitals, options.out / "flare")
    _show("student", common)


def teachers(options: argparse.Namespace) -> None:
    """Each hospital trains a teacher of its own."""
    count = len(options.hospitals)
    if len(options.bundles) not in (1, count):
        raise InputError(f"--bundles: give one teacher for all, or one for each of the {count} hospitals")
    bundles = options.bundles * (count if len(options.bundles) == 1 else 1)
    settings = _settings(options.set)
    arriving = {name: options.out / "bundles" / name for name in options.hospitals}
    hospitals = {}
    for (name, dataset), bundle in zip(options.hospitals.items(), bundles, strict=True):
        copy_bundle(bundle, arriving[name], options.size)
        hospitals[name] = TeacherHospital(_own_copy(options, name, bundle), str(dataset), options.epochs, settings)
    collection = TeacherCollection({name: str(folder) for name, folder in arriving.items()})
    simulate("teachers", collection, hospitals, options.out / "flare")
    for name, folder in arriving.items():
        _show(f"teacher of {name}", folder)


def distil(options: argparse.Namespace) -> None:
    """Each hospital distils a student of its own from the teachers of partners."""
    teachers = _teachers(options.teachers)
    unlabeled = {name: getattr(options, name) for name in ("unlabeled", "adapt_teachers", *CHOICES)}
    arriving = {name: options.out / "bundles" / f"{name}_student" for name in options.hospitals}
    hospitals = {}
    for name, dataset in options.hospitals.items():
        copy_bundle(options.bundle, arriving[name], options.size)
        copies = {teacher: options.out / "hospitals" / name / "teachers" / teacher for teacher in teachers}
        for teacher, folder in copies.items():
            copy_bundle(recorded_provenance(teachers[teacher] / "models")["bundle"], folder, options.size)
        own = {teacher: str(folder) for teacher, folder in copies.items()}
        student = _own_copy(options, name, options.bundle)
        hospitals[name] = DistillingHospital(
            student, str(dataset), options.epochs, own, unlabeled, _settings(options.set)
        )
    folders = {name: str(folder) for name, folder in teachers.items()}
    collection = StudentCollection({name: str(folder) for name, folder in arriving.items()}, folders)
    simulate("distil", collection, hospitals, options.out / "flare")
    for name, folder in arriving.items():
        _show(f"student of {name}", folder)


def _teachers(folders: Iterable[str]) -> dict[str, Path]:
    """The teachers' bundles by the names of their folders; each must be trained."""
    teachers: dict[str, Path] = {}
    for folder in map(Path, folders):
        if recorded_provenance(folder / "models") is None:
            raise InputError(f"--teachers {folder}: has no trained weights with a provenance; give a trained bundle")
        if folder.resolve().name in teachers:
            raise InputError(f"--teachers {folder}: two have this name; rename a folder")
        teachers[folder.resolve().name] = folder.resolve()
    return teachers


def _own_copy(options: argparse.Namespace, hospital: str, bundle: str) -> str:
    """The hospital's copy of the bundle; the simulation keeps it apart from the bundle that receives weights."""
    folder = options.out / "hospitals" / hospital / bundle
    copy_bundle(bundle, folder, options.size)
    return str(folder)


def _show(what: str, bundle: Path) -> None:
    metrics = recorded_provenance(bundle / "models")["metrics"]
    told = f"validation Dice {metrics['val_mean_dice']:.3f}" if metrics else "of the last epoch, without validation"
    print(f"{what}: {bundle}, {told}")


def _datasets(options: argparse.Namespace) -> dict[str, Path]:
    """The hospitals' datasets by name; each dataset is checked before any work starts."""
    is_distilling = options.command is distil
    parts = ["unlabeled" if options.unlabeled else "training"] if is_distilling else ["training", "validation"]
    datasets: dict[str, Path] = {}
    for text in options.hospitals:
        name, _, folder = text.partition("=")
        if not re.fullmatch(r"\w[\w-]*", name) or name == "server" or not folder:
            raise InputError(
                f"--hospitals {text}: give a name of letters, digits, _ and -, and a folder: north=/data/north"
            )
        if name in datasets:
            raise InputError(f"--hospitals: two are called {name}")
        datasets[name] = Path(folder).resolve()
        check_dataset(name, datasets[name], parts)
    if len(datasets) < 2 and not is_distilling:
        raise InputError("--hospitals: give at least two")
    return datasets


def _settings(texts: Iterable[str]) -> dict[str, Any]:
    pairs = [text.partition("=") for text in texts]
    try:
        settings = {key: json.loads(value) for key, _, value in pairs}
    except json.JSONDecodeError:
        raise InputError(f"--set {' '.join(texts)}: give numbers, true or false, as in learning_rate=0.001") from None
    check_settings(settings)
    return settings


def _check_numbers(options: argparse.Namespace) -> None:
    for name in {"rounds", "epochs"} & vars(options).keys():
        if getattr(options, name) < 1:
            raise InputError(f"--{name} must be at least 1")
    if options.size < 8 or options.size % 8:
        raise InputError(f"--size {options.size}: give a multiple of 8, such as 96")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m integrations.flare", description=__doc__)
    commands = parser.add_subparsers(required=True)
    together = commands.add_parser("student", help="train one student on all hospitals' data by averaging weights")
    together.add_argument("--bundle", default="enet", help="the student's bundle")
    together.add_argument("--rounds", type=int, default=20, help="number of rounds; each round averages the weights")
    together.add_argument("--epochs", type=int, default=5, help="epochs of each hospital in each round")
    together.set_defaults(command=student)
    apart = commands.add_parser("teachers", help="train a teacher at each hospital and collect the weights")
    apart.add_argument("--bundles", nargs="+", default=["pspnet"], help="one bundle for all, or one for each hospital")
    apart.add_argument("--epochs", type=int, default=100, help="epochs of each teacher")
    apart.set_defaults(command=teachers)
    own = commands.add_parser("distil", help="distil a student at each hospital from partners' teachers")
    own.add_argument("--bundle", default="enet", help="the student's bundle")
    own.add_argument("--teachers", nargs="+", required=True, metavar="FOLDER", help="trained bundles of partners")
    own.add_argument("--epochs", type=int, default=100, help="epochs of each distillation")
    own.add_argument("--unlabeled", action="store_true", help="learn from images without masks too")
    own.add_argument("--adapt-teachers", action="store_true", help="re-estimate the teachers' batch-norm statistics")
    for name, words in CHOICES.items():
        own.add_argument(f"--{name.replace('_', '-')}", choices=words, default=words[0])
    own.set_defaults(command=distil)
    for subparser in (together, apart, own):
        subparser.add_argument(
            "--hospitals",
            nargs="+",
            required=True,
            metavar="NAME=DATASET",
            help="canonical datasets with splits/all.json",
        )
        subparser.add_argument("--size", type=int, default=384, help="image size in pixels")
        subparser.add_argument(
            "--set", nargs="+", default=[], metavar="KEY=NUMBER", help="settings of every training: learning_rate=0.001"
        )
        subparser.add_argument("--out", type=Path, required=True, help="folder of the trained bundles")
    return parser


if __name__ == "__main__":
    # A kill must stop the hospitals too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
