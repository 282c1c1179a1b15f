"""``python -m custom_components.bundle build | card | copy | ensemble | export | package | predict``.

Exit codes: 0 done; 1 not done, the line on stderr says why; 2 wrong usage.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from custom_components.bundle.copying import copy_bundle
from custom_components.bundle.reading import SHIPPED_BUNDLES

# Every command imports its module when it runs: the exporters take seconds to load.


def build(options: argparse.Namespace) -> int:
    """Write every bundle's configs and model card from bundles/_base and bundle.yaml."""
    from custom_components.bundle.configs import build

    up_to_date = build(options.bundles, options.check)
    return int(options.check and not up_to_date)


def card(options: argparse.Namespace) -> int:
    """Write the evaluation of a trained bundle into its model card."""
    from custom_components.bundle.configs import build
    from custom_components.bundle.facts import keep_facts

    keep_facts(options.bundle, options.trained)
    build(SHIPPED_BUNDLES)
    return 0


def copy(options: argparse.Namespace) -> int:
    """Copy a shipped bundle into a folder, to train it there."""
    copy_bundle(options.bundle, options.folder, options.image_size, options.field_of_view)
    print(f"copied to {options.folder}")
    return 0


def ensemble(options: argparse.Namespace) -> int:
    """Join trained bundles into one bundle that predicts the mean of their probabilities."""
    from custom_components.bundle.joining import join_bundles

    join_bundles(options.members, options.out, options.flips)
    print(f"written: {options.out}, the mean of {len(options.members)} networks")
    return 0


def export(options: argparse.Namespace) -> int:
    """Export a trained bundle to student.onnx, TorchScript, ONNX and a Triton repository."""
    from custom_components.bundle.exporting import export

    print(f"written: {export(options.bundle, options.calibrate, options.datalist)}")
    return 0


def package(options: argparse.Namespace) -> int:
    """Pack a trained bundle into one zip that runs where MONAI is installed."""
    from custom_components.bundle.packaging import package

    archive = package(options.bundle, options.out)
    print(f"{archive}: {archive.stat().st_size / 1e6:.1f} MB")
    return 0


def predict(options: argparse.Namespace) -> int:
    """Write a model's probabilities for the cases of a dataset, to teach a student with them."""
    from custom_components.predictions.predicting import images_to_predict, predict
    from custom_components.predictions.predictors import open_predictor

    images = images_to_predict(options.dataset, options.datalist, options.part or ())
    model = open_predictor(options.model, options.preprocessing_of, options.run_code_of, options.device)
    count = predict(model, images, options.out)
    print(f"{options.out}: {count} cases predicted by {model.name}, {len(images) - count} were there")
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    return options.command(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m custom_components.bundle", description="Work on a bundle on disk.")
    commands = parser.add_subparsers(required=True)

    def add(command: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        subparser = commands.add_parser(command.__name__, help=command.__doc__, description=command.__doc__)
        subparser.set_defaults(command=command)
        return subparser

    build_ = add(build)
    build_.add_argument("--bundles", type=Path, default=SHIPPED_BUNDLES, help="folder of _base and the bundles")
    build_.add_argument("--check", action="store_true", help="write nothing; show what differs and exit with 1")
    card_ = add(card)
    card_.add_argument("bundle", help="bundle of this project whose card shows the figures")
    card_.add_argument(
        "trained", nargs="?", help="folder of the trained and evaluated bundle, if that is not BUNDLE itself"
    )
    copy_ = add(copy)
    copy_.add_argument("bundle", help="name of a bundle of this project")
    copy_.add_argument("folder", type=Path, help="folder of the copy")
    copy_.add_argument("--image-size", type=int, help="size of the images in pixels (default: the shipped size)")
    copy_.add_argument(
        "--field-of-view",
        type=float,
        help="side of the central square in mm, with --image-size (default: the whole image)",
    )
    ensemble_ = add(ensemble)
    ensemble_.add_argument("members", nargs="+", metavar="BUNDLE", help="name or folder of a trained bundle")
    ensemble_.add_argument("--out", type=Path, required=True, help="folder of the new bundle")
    ensemble_.add_argument("--flips", action="store_true", help="also average over the mirrored slice")
    export_ = add(export)
    export_.add_argument("bundle", help="name or folder of a trained bundle")
    export_.add_argument(
        "--calibrate", type=Path, metavar="DATASET", help="export to INT8 too, calibrated on this dataset"
    )
    export_.add_argument("--datalist", type=Path, help="split of the training (default: DATASET/splits/all.json)")
    package_ = add(package)
    package_.add_argument("bundle", help="name or folder of a trained bundle")
    package_.add_argument("--out", type=Path, default=Path("dist"), help="folder of the zip (dist)")
    predict_ = add(predict)
    predict_.add_argument("model", help="name or folder of a trained MONAI bundle, or a TorchScript file")
    predict_.add_argument("--dataset", type=Path, required=True, help="folder of dataset.json")
    predict_.add_argument("--out", type=Path, required=True, help="folder of the predictions")
    predict_.add_argument(
        "--datalist", type=Path, help="split whose cases are predicted (default: all of dataset.json)"
    )
    predict_.add_argument("--part", action="append", help="list of the split, such as training; may be repeated (all)")
    predict_.add_argument(
        "--preprocessing-of", metavar="BUNDLE", help="bundle whose preprocessing and inferer a TorchScript file takes"
    )
    predict_.add_argument(
        "--run-code-of",
        metavar="NAME",
        help="name of a bundle of another project, whose code may run; give it only if you trust the bundle",
    )
    predict_.add_argument("--device", help="cpu, cuda or cuda:<number> (default: the config's)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
