"""The scores of a bundle with an exported network in place of its own network."""

import tempfile
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser
from torch import nn

from custom_components.bundle import Bundle
from custom_components.files import read_json


def evaluate(bundle: Bundle, network: nn.Module, dataset_dir: Path, datalist: Path) -> dict[str, Any]:
    """Run the bundle's ``evaluate.json`` on the test cases; the bundle's own evaluation files do not change.

    Returns:
        The summary of all cases: ``n``, ``dice_mean``, ``hd95_mm_mean``, ... (see ``metrics.summarise``).

    Raises:
        InputError: if the split has no test cases, or a test case cannot be read.
    """
    with tempfile.TemporaryDirectory() as output_dir:
        parser = ConfigParser()
        parser.read_config(bundle.path / "configs" / "evaluate.json")
        parser.update(
            {
                "bundle_root": str(bundle.path),
                "dataset_dir": str(dataset_dir),
                "datalist": str(datalist),
                "output_dir": output_dir,
                "device": "cpu",
                "network": network,
            }
        )
        for step in ("initialize", "evaluating"):
            parser.get_parsed_content(step)
        return read_json(Path(output_dir) / "evaluation.json")["summary"]["all"]
