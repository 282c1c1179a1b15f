"""The scores of a bundle: reading its last evaluation, and evaluating it with another network."""

import tempfile
from pathlib import Path
from typing import Any

from torch import nn

from custom_components.bundle.parsing import parse_config
from custom_components.bundle.reading import Bundle
from custom_components.foundation.files import read_json


def evaluation_file(bundle: Path) -> Path:
    """The file into which the ``evaluate.json`` of a bundle writes its scores."""
    return bundle / "output" / "evaluation.json"


def read_evaluation(bundle: Path, weights_sha256: str) -> dict[str, Any] | None:
    """Read the last evaluation of a bundle on test cases.

    The result is None if there is no such evaluation, or if it scored other weights.
    """
    file = evaluation_file(bundle)
    report = read_json(file) if file.is_file() else {}
    return report if report.get("weights_sha256") == weights_sha256 and report.get("part") == "test" else None


def evaluate(bundle: Bundle, network: nn.Module, dataset_dir: Path, datalist: Path) -> dict[str, Any]:
    """Run the bundle's ``evaluate.json`` with another network on the test cases; the bundle's own evaluation stays.

    Returns:
        The summary of all cases: ``n``, ``dice_mean``, ``hd95_mm_mean``, ... (see ``metrics.summarise``).

    Raises:
        InputError: if the split has no test cases, or one of them cannot be read.
    """
    with tempfile.TemporaryDirectory() as output_dir:
        options = {
            "bundle_root": str(bundle.path),
            "dataset_dir": str(dataset_dir),
            "datalist": str(datalist),
            "output_dir": output_dir,
            "device": "cpu",
            "network": network,
        }
        parser = parse_config(bundle.path / "configs" / "evaluate.json", options)
        for step in ("initialize", "evaluating"):
            parser.get_parsed_content(step)
        return read_json(Path(output_dir) / "evaluation.json")["summary"]["all"]
