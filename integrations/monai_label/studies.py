"""Studies in a folder of NIfTI volumes, with the annotators' labels in the same folder."""

import re
from itertools import product
from pathlib import Path

from monailabel.config import settings
from monailabel.datastore.local import LocalDatastore
from monailabel.interfaces.datastore import DefaultLabelTag

from custom_components.foundation.errors import InputError
from custom_components.foundation.nifti import read_volume
from data_prep.no_study import is_no_study
from integrations.monai_label.http_errors import NotFoundError
from integrations.monai_label.labels import read_label

# MONAI Label compares endings exactly, so it needs every mixture of capital and small letters.
EXTENSIONS = tuple(
    f"*{''.join(letters)}"
    for ending in (".nii.gz", ".nii")
    for letters in product(*({letter, letter.upper()} for letter in ending))
)


class StudiesFolder(LocalDatastore):
    """A folder of ``*.nii.gz`` and ``*.nii``, in capital or small letters.

    The server owns the sub-folder ``labels`` and the file ``datastore_v2.json``.

    Files that the import ignores, such as the ``._*`` files of a Mac, are not listed.

    Args:
        folder: the studies' folder.
    """

    def __init__(self, folder: str) -> None:
        reload = settings.MONAI_LABEL_DATASTORE_AUTO_RELOAD
        super().__init__(folder, extensions=EXTENSIONS, auto_reload=reload)

    def _list_files(self, path, patterns) -> dict[str, str]:
        return {name: file for name, file in super()._list_files(path, patterns).items() if not is_no_study(name)}

    def _remove_non_existing(self) -> int:
        removed = super()._remove_non_existing()
        # An older datastore_v2.json may list such files.
        listed = [image for image in self._datastore.objects if is_no_study(image)]
        for image in listed:
            del self._datastore.objects[image]
        return removed + len(listed)

    def no_image(self, image_id: str) -> NotFoundError:
        """The error of a request for an image that does not exist."""
        return NotFoundError(f"no image '{image_id}' in the studies")

    def save_label(self, image_id, label_filename, label_tag, label_info) -> str:
        """Save a label. A final label must be a prostate mask on its image.

        Raises:
            NotFoundError: if there is no such image.
            InputError: if the tag is not a plain word, or as :func:`read_label`; the former label is kept.
        """
        if image_id not in self.list_images():
            raise self.no_image(image_id)
        check_tag(label_tag)
        if label_tag == DefaultLabelTag.FINAL:
            check_label(label_filename, image_id, self.get_image_uri(image_id))
        return super().save_label(image_id, label_filename, label_tag, label_info)


def check_label(label: str, image_id: str, image: str) -> None:
    """Check a label as :func:`read_label` does, but with an error that names the image instead of a temporary file."""
    try:
        read_label(label, read_volume(Path(image)))
    except InputError as fault:
        raise InputError(str(fault).replace(label, f"label of {image_id}")) from fault


def check_tag(tag: str) -> None:
    """Refuse a tag that cannot be the name of a folder.

    Raises:
        InputError: if the tag is not a plain word.
    """
    if not re.fullmatch(r"\w[\w-]*", tag):
        raise InputError(f"tag: {tag!r} is no plain word, as final and original are")
