"""The choice between the kinds of teachers that a distillation can have."""

from pathlib import Path
from typing import Any

from custom_components.teachers.cache import CachedTeachers
from custom_components.teachers.ensemble import TeacherEnsemble
from custom_components.teachers.kinds import order_of_kinds
from custom_components.teachers.online import OnlineTeachers
from custom_components.teachers.predicted import PredictedTeachers
from custom_components.teachers.teachers import Teachers
from custom_components.teachers.together import TeachersTogether


def choose_teachers(
    frozen_teachers: TeacherEnsemble | None,
    online_teachers: OnlineTeachers | None,
    cached_teachers: CachedTeachers | None = None,
    predicted_teachers: PredictedTeachers | None = None,
    teachers: Any = (),
    bundles_dir: str | Path = ".",
) -> Teachers:
    """The teachers that the student learns from; a kind that the options switch off is None.

    Args:
        frozen_teachers: the trained teachers.
        online_teachers: the teachers that learn beside the student; they replace the frozen teachers.
        cached_teachers: the answers of the frozen teachers, kept on disk; they are used instead of the teachers.
        predicted_teachers: folders of predictions; they answer beside the others.
        teachers: the option ``teachers``; it gives the order of the teachers if they are of several kinds.
        bundles_dir: the folder of the bundles that are given by name.

    Raises:
        ValueError: if there are no teachers.
    """
    networks = next((one for one in (cached_teachers, online_teachers, frozen_teachers) if one is not None), None)
    given = [one for one in (networks, predicted_teachers) if one is not None]
    if not given:
        raise ValueError("no teachers: neither cached, online nor frozen ones are given, and no predictions")
    return given[0] if len(given) == 1 else TeachersTogether(given, order_of_kinds(teachers, bundles_dir))
