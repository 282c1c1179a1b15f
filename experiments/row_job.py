"""The job of a row: its training and then its evaluation, each with a log."""

from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from custom_components.bundle import copy_bundle
from custom_components.foundation.files import read_json, write_json
from custom_components.jobs import Job, Step
from experiments import commands
from experiments.complexity import MEASURED
from experiments.inputs import Inputs, what_changed
from experiments.plan import ENSEMBLE, EPOCHS, Row


class RowJobs:
    """Makes the jobs of a study's rows, and keeps what each was begun with.

    Args:
        inputs: the inputs of the study's rows.
        bundles: the folder with a bundle for each row.
    """

    def __init__(self, inputs: Inputs, bundles: Path) -> None:
        self._inputs = inputs
        self._bundles = bundles

    def find(self, row: Row) -> Job:
        """The job of a row, for a look at its state. It is not made."""
        return Job(row.name, self._output(row), steps=())

    def make(self, row: Row, seconds: float) -> Job:
        """Copy the row's bundle, remove the files of a training with other inputs, and return the job.

        Args:
            row: the row, whose teachers are done.
            seconds: the expected time.
        """
        self._make_room(row)
        copy_bundle(row.bundle, self._bundles / row.name, **self._inputs.plan.image)
        return Job(
            name=row.name,
            folder=self._output(row),
            steps=self._steps(row),
            environment={"TQDM_DISABLE": "1"},
            uses_gpu=row.settings.get("device") != "cpu",
            seconds=seconds,
        )

    def is_current(self, row: Row) -> bool:
        """Whether the row's job was begun with the present inputs."""
        started = self._started(row)
        return started.is_file() and not what_changed(read_json(started), self._inputs.of(row))

    def finish(self, row: Row) -> None:
        """Note that the row's job has ended well, with the inputs that it was begun with."""
        write_json(self._output(row) / "done.json", read_json(self._started(row)))

    def _output(self, row: Row) -> Path:
        return self._bundles / row.name / "output"

    def _started(self, row: Row) -> Path:
        return self._output(row) / "started.json"

    def _steps(self, row: Row) -> Sequence[Step]:
        where = self._bundles, self._inputs.dataset
        if row.role == ENSEMBLE:
            first = ("joining", commands.joining(row, self._bundles))
        else:
            first = ("training", commands.training(row, *where, self._inputs.datalist(row)))
        scored = commands.evaluating(row, *where, self._inputs.all_cases(row), self._inputs.plan.scored_on)
        named = (first, ("evaluating", scored))
        return [Step(name, command, self._output(row) / f"{name}.log") for name, command in named]

    def _make_room(self, row: Row) -> None:
        """Remove the files of a training with other inputs.

        If only the cases for scoring have changed, the training's files stay.
        """
        present = self._inputs.of(row)
        former = read_json(self._started(row)) if self._started(row).is_file() else present
        if changed := what_changed(former, present, kinds=["trained"]):
            tqdm.write(f"{row.name}: starts afresh, since it was begun with other {changed}")
            for stale in self._output(row).glob("*"):
                if stale.is_file():
                    stale.unlink()
        write_json(self._started(row), present)


def expected_seconds(row: Row, cases: int, networks: dict[str, str]) -> float:
    """A rough time of a row on a processor, from the measured times of the networks: good enough to order rows.

    Args:
        row: the row.
        cases: number of its training cases.
        networks: the bundle of every row, by the row's name.
    """
    measured = {line["network"]: line["slice_ms"] / 1000 for line in read_json(MEASURED)["rows"]}
    unknown = sum(measured.values()) / len(measured)
    # A training runs forward and backward; a teacher answers once for each case.
    own = 3 * row.settings[EPOCHS] * measured.get(row.bundle, unknown)
    return cases * (own + sum(measured.get(networks[teacher], unknown) for teacher in row.teachers))
