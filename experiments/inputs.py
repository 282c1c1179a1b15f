"""What a row's result depends on, known before it is trained."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from custom_components.bundle import SHIPPED_BUNDLES, read_bundle
from custom_components.data import load_datalist
from custom_components.data.file_hashes import FileHashes
from custom_components.files import file_sha256, read_json
from custom_components.run_identity import differences, in_one_line, is_comparable, run_identity
from custom_components.run_settings import Settings, settings_of
from experiments.plan import DISTILLATION, EPOCHS, Plan, Row


class Inputs:
    """The inputs of the rows of a study, as the files are now.

    Two identities (:func:`run_identity`) say what a row is: ``trained``, of its training, and ``scored``, of its
    evaluation. Expressions in a config have no value before the training, and are compared by their text.

    Args:
        plan: of the study.
        dataset: canonical dataset folder.
        folder: of the study.
        rows: of the study, in this plan or a former one.
    """

    def __init__(self, plan: Plan, dataset: Path, folder: Path, rows: Iterable[Row]) -> None:
        self.plan = plan
        self.dataset = dataset
        self.folder = folder
        self._by_name = {row.name: row for row in rows}
        # The hashes that trainings keep, so that each file is read once.
        self._hashes = FileHashes(dataset / "prepared" / "hashes.json")

    @property
    def all_cases(self) -> Path:
        """The split file of all sites, whose cases every row is scored on."""
        return self.folder / "splits" / "all.json"

    def datalist(self, row: Row) -> Path:
        """The split file of a row's sites."""
        return self.folder / "splits" / f"{'+'.join(row.sites)}.json" if row.sites else self.all_cases

    def of(self, row: Row) -> dict[str, Any]:
        """``trained``, ``scored`` and ``epochs`` of a row."""
        parts = {part: self._cases(self.datalist(row), part) for part in ("training", "validation")}
        scored = {"scored": self._cases(self.all_cases, self.plan.scored_on)}
        settings = {**row.settings, "seed": row.seed}
        pretrained = Path(str(row.settings.get("pretrained") or ""))
        return {
            "trained": run_identity(
                self._settings(DISTILLATION if row.teachers else row.bundle, "train", settings),
                parts,
                file_sha256(pretrained) if pretrained.is_file() else None,
                read_bundle(row.bundle, SHIPPED_BUNDLES).identity if row.teachers else None,
                {teacher: self._teacher(teacher) for teacher in row.teachers},
            ),
            "scored": run_identity(self._settings(row.bundle, "evaluate", {"part": self.plan.scored_on}), scored),
            "epochs": row.settings[EPOCHS],
        }

    def _settings(self, bundle: str, config: str, changes: Mapping[str, Any]) -> Settings:
        content = read_json(SHIPPED_BUNDLES / bundle / "configs" / f"{config}.json")
        return Settings({**settings_of(content).values, **settings_of({**self.plan.image, **changes}).values})

    def _cases(self, datalist: Path, part: str) -> list[tuple[str, str, str]]:
        return [
            (case["case"], self._hashes.sha256(case["image"]), self._hashes.sha256(case["label"]))
            for case in load_datalist(datalist, part, self.dataset)
        ]

    def _teacher(self, name: str) -> dict[str, Any]:
        model = self.folder / "bundles" / name / "models" / "model.pt"
        weights_sha256 = file_sha256(model) if model.is_file() else None
        return {**read_bundle(self._by_name[name].bundle, SHIPPED_BUNDLES).identity, "weights_sha256": weights_sha256}


def what_changed(was: Mapping[str, Any], now: Mapping[str, Any], kinds: Iterable[str] = ("trained", "scored")) -> str:
    """How two inputs of a row differ, in words; empty if they do not.

    Args:
        was: as it was kept; of a former version of this project, it may be anything.
        now: what :meth:`Inputs.of` gives.
        kinds: what to compare.
    """
    if not all(is_comparable(was.get(kind)) for kind in kinds):
        return "inputs, recorded by another version of this project"
    told = [difference for kind in kinds for difference in differences(was[kind], now[kind])]
    if was["epochs"] != now["epochs"]:
        told.append(f"epochs (was {was['epochs']}, now {now['epochs']})")
    return in_one_line(told)
