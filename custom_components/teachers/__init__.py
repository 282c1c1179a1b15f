"""Teachers: frozen networks, loaded from bundles and checked, or networks that learn together with the student."""

from custom_components.bundle.weights import load_weights
from custom_components.teachers.cache import CachedTeachers
from custom_components.teachers.choose import choose_teachers
from custom_components.teachers.ensemble import TeacherEnsemble, load_teachers
from custom_components.teachers.load import Teacher, load_teacher
from custom_components.teachers.online import OnlineTeachers
from custom_components.teachers.taps import Taps
from custom_components.teachers.taught_slices import TaughtSlices
from custom_components.teachers.teachers import Batch, Teachers

__all__ = [
    "Batch",
    "CachedTeachers",
    "OnlineTeachers",
    "Taps",
    "TaughtSlices",
    "Teacher",
    "TeacherEnsemble",
    "Teachers",
    "choose_teachers",
    "load_teacher",
    "load_teachers",
    "load_weights",
]
