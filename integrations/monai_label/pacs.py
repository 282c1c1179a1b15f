"""Studies in a PACS with DICOMweb. Images are loaded from the PACS, and final labels are stored in it as DICOM SEG."""

import logging
import tempfile
from pathlib import Path
from typing import Any

from dicomweb_client.session_utils import create_session_from_user_pass
from monailabel.config import settings
from monailabel.datastore.dicom import DICOMwebClientX, DICOMWebDatastore
from monailabel.datastore.local import LocalDatastore
from monailabel.datastore.utils.convert import binary_to_image
from monailabel.datastore.utils.dicom import dicom_web_download_series
from monailabel.interfaces.datastore import DefaultLabelTag
from pydicom.dataset import Dataset

from custom_components.foundation.errors import InputError
from data_prep.dicom.headers import slices_of
from data_prep.dicom.pixels import read_series
from data_prep.dicom.selection import Selection, SeriesChoice, select_series
from data_prep.dicom.series import group_series
from data_prep.files import new_folder
from data_prep.volumes import write_volume
from integrations.monai_label.dicom_seg import make_dicom_seg, read_one_series
from integrations.monai_label.http_errors import NotFoundError
from integrations.monai_label.studies import check_label, check_tag

logger = logging.getLogger(__name__)


class Pacs(DICOMWebDatastore):
    """The axial T2w series of every study of a PACS, by SeriesInstanceUID.

    The rules of ``data_prep`` and the variables SERIES and TIE choose the series. Images and labels are kept in a
    folder for training. Only images that were labelled through this server count as labelled. If the PACS does not
    answer or refuses a request, a ``RequestException`` of requests is raised.

    Args:
        url: DICOMweb URL of the PACS.
        cache_dir: folder of the images and labels.
    """

    def __init__(self, url: str, cache_dir: Path) -> None:
        session = None
        if settings.MONAI_LABEL_DICOMWEB_USERNAME:
            session = create_session_from_user_pass(
                settings.MONAI_LABEL_DICOMWEB_USERNAME, settings.MONAI_LABEL_DICOMWEB_PASSWORD
            )
        client = DICOMwebClientX(url=url, session=session)
        # No retries: while the client waited between them, the server would not answer anyone.
        client.set_http_retry_params(retry=False)
        # The axial T2w series of each study, by the UIDs of the study's MR series.
        self._chosen: dict[frozenset[str], str | None] = {}
        self._choice = SeriesChoice.from_environment()
        super().__init__(client, {"Modality": "MR"}, str(cache_dir))

    def list_images(self) -> list[str]:
        return self._find()

    def series_of(self, study: str) -> list[str]:
        """The image of one study; empty if the study has none."""
        return self._find(StudyInstanceUID=study)

    def get_labeled_images(self, label_tag=None, labels=None) -> list[str]:
        return LocalDatastore.get_labeled_images(self, label_tag, labels)

    def get_unlabeled_images(self, label_tag=None, labels=None) -> list[str]:
        labelled = set(self.get_labeled_images())
        return [uid for uid in self.list_images() if uid not in labelled]

    def get_label_uri(self, label_id: str, label_tag: str, image_id: str = "") -> str:
        return LocalDatastore.get_label_uri(self, label_id, label_tag)

    def datalist(self, full_path: bool = True) -> list[dict[str, Any]]:
        return LocalDatastore.datalist(self, full_path)

    def no_image(self, image_id: str) -> NotFoundError:
        """The error of a request for a series that is no image, or that does not exist."""
        return NotFoundError(f"no image '{image_id}' in the studies; open the axial T2w series of a study")

    def get_image_uri(self, image_id: str) -> str:
        """The path of the series as a NIfTI file.

        Raises:
            NotFoundError: if there is no such series.
            InputError: if the series is not an even stack of slices, for example because a slice is missing.
        """
        known = LocalDatastore.get_image_uri(self, image_id)
        if known and Path(known).is_file():
            return known
        if image_id not in self.list_images():
            raise self.no_image(image_id)
        folder = self._series_dir(image_id)
        if not folder.is_dir():
            with new_folder(folder) as partial:
                dicom_web_download_series(None, image_id, str(partial), self._client)
        with tempfile.TemporaryDirectory() as made:
            nifti = Path(made, f"{image_id}.nii.gz")
            write_volume(nifti, read_series(read_one_series(folder)))
            LocalDatastore.add_image(self, image_id, str(nifti), self._dicom_info(image_id))
        return LocalDatastore.get_image_uri(self, image_id)

    def save_label(self, image_id, label_filename, label_tag, label_info) -> str:
        """Save a label. A final label must be a prostate mask on its image, and is stored in the PACS as DICOM SEG.

        Raises:
            NotFoundError: if there is no such image.
            InputError: as :func:`check_tag` and :func:`check_label`; the former label is kept.
        """
        check_tag(label_tag)
        image = self.get_image_uri(image_id)
        if label_filename.endswith(".bin"):  # OHIF sends voxels without a header
            label_filename = binary_to_image(image, label_filename)
        if label_tag == DefaultLabelTag.FINAL:
            check_label(label_filename, image_id, image)
            series = read_one_series(self._series_dir(image_id))
            made = make_dicom_seg(series, label_filename, label_info.get("model"))
            self._client.store_instances([made])
            label_info = {**label_info, "SeriesInstanceUID": str(made.SeriesInstanceUID)}
        return LocalDatastore.save_label(self, image_id, label_filename, label_tag, label_info)

    def _series_dir(self, image_id: str) -> Path:
        """The folder in which MONAI Label expects the series: the path of its NIfTI without the suffix."""
        return Path(self._datastore.image_path(), image_id).resolve()

    def _find(self, **match: str) -> list[str]:
        studies: dict[str, set[str]] = {}
        for one in map(Dataset.from_json, self._client.search_for_series(search_filters=self._search_filter | match)):
            studies.setdefault(str(one.StudyInstanceUID), set()).add(str(one.SeriesInstanceUID))
        chosen = [self._axial_t2(study, frozenset(series)) for study, series in studies.items()]
        return [uid for uid in chosen if uid]

    def _axial_t2(self, study: str, series: frozenset[str]) -> str | None:
        if series not in self._chosen:
            try:
                selection = self._select(study, series)
                problem = f"{selection.problem}; {self._choice.advice}"
            except InputError as fault:
                selection = Selection(None, problem := f"cannot be read ({fault})", ())
            if selection.problem:
                logger.warning(f"study {study} is left out: it {problem}")
            picked = selection.picked
            self._chosen[series] = picked.first.series_uid if picked else None
        return self._chosen[series]

    def _select(self, study: str, series: frozenset[str]) -> Selection:
        slices = [
            piece
            for uid in sorted(series)
            for header in self._client.retrieve_series_metadata(study, uid)
            for piece in slices_of(Dataset.from_json(header, _no_pixels), Path(uid))
        ]
        return select_series(group_series(slices), self._choice)


def _no_pixels(*_: object) -> None:
    """The value of an element that the PACS keeps apart, such as the pixels. Without it, pydicom warns of each one."""
