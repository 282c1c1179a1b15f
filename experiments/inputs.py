"""The inputs that a row's result depends on, known before the row is trained."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from custom_components.bundle import SHIPPED_BUNDLES, read_bundle
from custom_components.data import load_datalist
from custom_components.data.file_hashes import FileHashes
from custom_components.foundation.files import file_sha256, read_json, sha256_of
from custom_components.run_identity import differences, in_one_line, is_comparable, run_identity
from custom_components.run_settings import Settings, settings_of
from experiments.plan import DISTILLATION, EPOCHS, Plan, Row
from experiments.splits import scored_split, training_split


class Inputs:
    """The inputs of a study's rows, computed from the present files.

    Two identities (:func:`run_identity`) describe a row: ``trained`` is the identity of its training, and ``scored``
    the identity of its evaluation. Expressions in a config have no value before the training, so they are compared by
    their text.

    Args:
        plan: the plan of the study.
        dataset: canonical dataset folder.
        folder: the study's folder.
        rows: the study's rows, from this plan or a former one.
    """

    def __init__(self, plan: Plan, dataset: Path, folder: Path, rows: Iterable[Row]) -> None:
        self.plan = plan
        self.dataset = dataset
        self.folder = folder
        self._by_name = {row.name: row for row in rows}
        # Trainings keep these hashes too, so that each file is read only once.
        self._hashes = FileHashes(dataset / "prepared" / "hashes.json")

    def all_cases(self, row: Row) -> Path:
        """The split file with the cases that the row is scored on."""
        return scored_split(self.folder / "splits", row.fold, row.sites)

    def datalist(self, row: Row) -> Path:
        """The split file with the cases that the row is trained on."""
        return training_split(self.folder / "splits", row)

    def of(self, row: Row) -> dict[str, Any]:
        """The inputs ``trained``, ``scored`` and ``epochs`` of a row."""
        lists = ("training", "validation", *(["unlabeled"] if row.settings.get("unlabeled") else []))
        parts = {part: self._cases(self.datalist(row), part) for part in lists}
        scored = {"scored": self._cases(self.all_cases(row), self.plan.scored_on)}
        settings = {**row.settings, "seed": row.seed}
        pretrained = Path(str(row.settings.get("pretrained") or ""))
        return {
            "trained": run_identity(
                self._settings(DISTILLATION if row.is_distilled else row.bundle, "train", settings),
                parts,
                file_sha256(pretrained) if pretrained.is_file() else None,
                read_bundle(row.bundle, SHIPPED_BUNDLES).identity if row.is_distilled else None,
                {teacher: self._teacher(teacher) for teacher in row.teachers}
                | {str(number): self._predictions(table) for number, table in enumerate(row.predictions)},
            ),
            "scored": run_identity(self._settings(row.bundle, "evaluate", {"part": self.plan.scored_on}), scored),
            "epochs": row.settings[EPOCHS],
        }

    def _settings(self, bundle: str, config: str, changes: Mapping[str, Any]) -> Settings:
        content = read_json(SHIPPED_BUNDLES / bundle / "configs" / f"{config}.json")
        return Settings({**settings_of(content).values, **settings_of({**self.plan.image, **changes}).values})

    def _cases(self, datalist: Path, part: str) -> list[tuple[str, str, str | None]]:
        return [
            (case["case"], self._hashes.sha256(case["image"]), self._mask_sha256(case, part))
            for case in load_datalist(datalist, part, self.dataset)
        ]

    def _mask_sha256(self, case: Mapping[str, Any], part: str) -> str | None:
        return None if part == "unlabeled" else self._hashes.sha256(case["label"])

    def _teacher(self, name: str) -> dict[str, Any]:
        model = self.folder / "bundles" / name / "models" / "model.pt"
        weights_sha256 = file_sha256(model) if model.is_file() else None
        return {**read_bundle(self._by_name[name].bundle, SHIPPED_BUNDLES).identity, "weights_sha256": weights_sha256}

    def _predictions(self, table: Mapping[str, Any]) -> dict[str, Any]:
        """The options of a folder of predictions, and a hash of its files."""
        folder = Path(table["predictions"])
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        content = sha256_of({str(file.relative_to(folder)): self._hashes.sha256(file) for file in files})
        return {**{key: value for key, value in table.items() if key != "predictions"}, "files_sha256": content}


def what_changed(was: Mapping[str, Any], now: Mapping[str, Any], kinds: Iterable[str] = ("trained", "scored")) -> str:
    """The differences, in words, between two inputs of a row; empty if there are none.

    Args:
        was: the saved inputs. A former version of this project may have saved any other value.
        now: the result of :meth:`Inputs.of`.
        kinds: the kinds of inputs to compare.
    """
    if not all(is_comparable(was.get(kind)) for kind in kinds):
        return "inputs, recorded by another version of this project"
    told = [difference for kind in kinds for difference in differences(was[kind], now[kind])]
    if was["epochs"] != now["epochs"]:
        told.append(f"epochs (was {was['epochs']}, now {now['epochs']})")
    return in_one_line(told)
