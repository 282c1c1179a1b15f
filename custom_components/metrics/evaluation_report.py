"""The files of an evaluation: each case's scores, their summary, the evaluated weights and the split."""

from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events
from torch import nn

from custom_components.evaluation_table import EVALUATION_COLUMNS, evaluation_rows
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import file_sha256, read_json, sha256_of, write_csv, write_json
from custom_components.foundation.tables import text_table
from custom_components.metrics.calibration import Calibration
from custom_components.metrics.volume import summarise, volume_scores

COLUMNS = ("case", "site", "dice", "hd95_mm", "asd_mm", "missed", "truth_ml", "prediction_ml")


class EvaluationReport:
    """Scores each volume of an evaluator, and writes ``evaluation.json`` and ``evaluation.csv`` when the evaluator
    completes.

    The handler reads the evaluator's decollated output and batch. For each case they hold ``pred`` and ``truth`` (both
    0/1, (1, H, W, D), MetaTensors on the image's own grid), ``probs`` (2, H, W, D), and ``case`` and ``site`` of the
    datalist.

    Args:
        output_dir: folder of the two files; made if missing.
        bundle: name of the evaluated bundle.
        datalist: split file that the cases come from; its name and hash go into the report.
        part: the list of the split file that holds the cases.
        network: the evaluated network; the report shows its number of parameters.
        weights: file of the network's weights. The report keeps the file's hash, which identifies the scored weights.

    Raises:
        InputError: When the datalist is not a split file, or when an evaluation saw no case.
    """

    def __init__(
        self, output_dir: str, bundle: str, datalist: str, part: str, network: nn.Module, weights: str
    ) -> None:
        self.output_dir = Path(output_dir)
        self.bundle = bundle
        split = _read_split(Path(datalist))
        self.split = {"name": split["name"], "sha256": split["sha256"]}
        self.cases_sha256 = sha256_of(split[part])
        self.part = part
        self.params = sum(parameter.numel() for parameter in network.parameters())
        self.weights_sha256 = file_sha256(weights)
        self.cases: list[dict[str, Any]] = []
        self.calibration = Calibration()

    def attach(self, engine: Engine) -> None:
        """Listens to an evaluator."""
        engine.add_event_handler(Events.STARTED, self.start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.score)
        engine.add_event_handler(Events.COMPLETED, self.write)

    def start(self, engine: Engine) -> None:
        """Forgets the cases of an earlier run."""
        self.cases = []
        self.calibration = Calibration()

    def score(self, engine: Engine) -> None:
        """Scores the volumes of one iteration."""
        # The transforms' results are in MONAI's output, and the datalist's entries are in the batch.
        for loaded, made in zip(engine.state.batch, engine.state.output, strict=True):
            item = {**loaded, **made}
            truth = item["truth"]
            spacing_mm = truth.pixdim.tolist()
            scores = volume_scores(item["pred"][0], truth[0], spacing_mm)
            self.calibration.add(item["probs"][1].cpu(), truth[0].cpu(), spacing_mm)
            rounded = {name: value if isinstance(value, bool) else round(value, 6) for name, value in scores.items()}
            self.cases.append({"case": item["case"], "site": item["site"], **rounded})

    def write(self, engine: Engine) -> None:
        """Writes the report and prints the summary."""
        if not self.cases:
            raise InputError(f"nothing was evaluated: the list of cases taken from split {self.split['name']} is empty")
        self.cases.sort(key=lambda case: case["case"])
        report = {
            "bundle": self.bundle,
            "split": self.split,
            "part": self.part,
            "cases_sha256": self.cases_sha256,
            "params": self.params,
            "weights_sha256": self.weights_sha256,
            "cases": self.cases,
            "summary": summarise(self.cases),
            "calibration": self.calibration.summary(),
        }
        write_csv(self.output_dir / "evaluation.csv", self.cases, COLUMNS)
        write_json(self.output_dir / "evaluation.json", report)
        print(text_table(EVALUATION_COLUMNS, evaluation_rows(report["summary"])))


def _read_split(datalist: Path) -> dict[str, Any]:
    split = read_json(datalist)
    if not {"name", "sha256"} <= split.keys():
        raise InputError(f"{datalist}: not a split file, name or sha256 is missing; make one with data_prep split")
    return split
