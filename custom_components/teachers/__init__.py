"""Teachers: bundles read as data, loaded safely, checked against the student, and frozen; or learning beside it."""

from custom_components.teachers.bundle import Bundle, find_bundle, read_bundle
from custom_components.teachers.cache import CachedTeachers
from custom_components.teachers.ensemble import TeacherEnsemble, load_teachers
from custom_components.teachers.load import Teacher, load_teacher, load_weights
from custom_components.teachers.online import OnlineTeachers
from custom_components.teachers.taps import Taps

__all__ = [
    "Bundle",
    "CachedTeachers",
    "OnlineTeachers",
    "Taps",
    "Teacher",
    "TeacherEnsemble",
    "find_bundle",
    "load_teacher",
    "load_teachers",
    "load_weights",
    "read_bundle",
]
