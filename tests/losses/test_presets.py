"""The preset of a training that names none."""

import pytest

from custom_components.losses import default_preset


@pytest.mark.parametrize(
    ("unlabeled", "teachers", "expected"),
    [(False, 1, "measured"), (False, 2, "annealed"), (True, 1, "new_site"), (True, 3, "new_site")],
)
def test_the_default_depends_on_the_masks_and_on_the_number_of_teachers(unlabeled, teachers, expected):
    assert default_preset(unlabeled, teachers) == expected
