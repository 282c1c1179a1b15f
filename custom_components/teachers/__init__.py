"""Teachers: networks loaded from bundles and checked, networks that learn beside the student, and predictions."""

from custom_components.bundle.weights import load_weights
from custom_components.teachers.cache import CachedTeachers
from custom_components.teachers.choose import choose_teachers
from custom_components.teachers.ensemble import TeacherEnsemble, load_teachers
from custom_components.teachers.kinds import number_of_teachers
from custom_components.teachers.load import Teacher, load_teacher
from custom_components.teachers.measuring_weights import measured_weights
from custom_components.teachers.online import OnlineTeachers
from custom_components.teachers.out_of_fold import OutOfFold
from custom_components.teachers.predicted import PredictedTeachers, load_predictions
from custom_components.teachers.taps import Taps
from custom_components.teachers.taught_slices import TaughtSlices
from custom_components.teachers.teachers import Batch, Teachers
from custom_components.teachers.together import TeachersTogether

__all__ = [
    "Batch",
    "CachedTeachers",
    "OnlineTeachers",
    "OutOfFold",
    "PredictedTeachers",
    "Taps",
    "TaughtSlices",
    "Teacher",
    "TeacherEnsemble",
    "Teachers",
    "TeachersTogether",
    "choose_teachers",
    "load_predictions",
    "load_teacher",
    "load_teachers",
    "load_weights",
    "measured_weights",
    "number_of_teachers",
]
