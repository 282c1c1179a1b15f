"""The choice between the kinds of teachers that a distillation can have."""

from custom_components.teachers.cache import CachedTeachers
from custom_components.teachers.ensemble import TeacherEnsemble
from custom_components.teachers.online import OnlineTeachers
from custom_components.teachers.teachers import Teachers


def choose_teachers(
    frozen_teachers: TeacherEnsemble | None,
    online_teachers: OnlineTeachers | None,
    cached_teachers: CachedTeachers | None = None,
) -> Teachers:
    """The teachers that the student learns from; a kind that the options switch off is None.

    Args:
        frozen_teachers: trained ones.
        online_teachers: those that learn beside the student; with them there are no frozen ones.
        cached_teachers: the answers of the frozen teachers, kept on disk; they are used instead of the teachers.

    Raises:
        ValueError: if there are none at all.
    """
    for teachers in (cached_teachers, online_teachers, frozen_teachers):
        if teachers is not None:
            return teachers
    raise ValueError("no teachers: neither cached, online nor frozen ones are given")
