"""A label of a DICOM series as DICOM SEG, for the PACS and for a client."""

from pathlib import Path

from monailabel.config import settings
from pydicom.dataset import Dataset

from custom_components.foundation.errors import InputError
from custom_components.foundation.files import read_json
from data_prep.dicom import Series, SeriesChoice, find_series, read_series, select_series
from data_prep.dicom.derived import deriving_from, read_source_images
from data_prep.dicom.results import Algorithm, prostate_seg
from integrations.monai_label.labels import read_label


def read_one_series(folder: str | Path) -> Series:
    """The series in a folder that holds one; of the stacks that an enhanced image may have, the axial T2w one.

    Raises:
        InputError: as :func:`data_prep.dicom.series.find_series`, or when no stack, or more than one, is axial T2w.
    """
    stacks = find_series(Path(folder))
    if len(stacks) == 1:
        return stacks[0]
    choice = SeriesChoice.from_environment()
    selection = select_series(stacks, choice)
    if selection.picked is None:
        raise InputError(f"{folder}: {selection.problem}; {choice.advice}")
    return selection.picked


def make_dicom_seg(series: Series, label: str | Path, model: str | None = None) -> Dataset:
    """The prostate as one binary segment on every slice of its series.

    Args:
        series: the axial T2w series that was segmented.
        label: NIfTI mask on the series' grid.
        model: the name of the bundle that drew it; None is an annotator.

    Raises:
        InputError: if the label is no mask on this series, as :func:`integrations.monai_label.labels.read_label`; if no
            SEG can refer to the series, as :mod:`data_prep.dicom.derived`.
    """
    mask = read_label(label, read_series(series))
    with deriving_from(series):
        return prostate_seg(mask.voxels, series, read_source_images(series), _algorithm(model))


def nifti_to_dicom_seg(series_dir: str, label: str, label_info: list[dict] | None = None, **_: object) -> str:
    """Write a DICOM SEG for ``output=dicom_seg``; MONAI Label's own function needs a program fetched from GitHub."""
    model = (label_info or [{}])[0].get("model_name", "MONAI Label")
    file = Path(label).with_suffix(".dcm")
    make_dicom_seg(read_one_series(series_dir), label, model).save_as(file)
    return str(file)


def _algorithm(model: str | None) -> Algorithm | None:
    """The name and version of a bundle of this server for DICOM; a client may name any other program."""
    if not model:
        return None
    folder = settings.MONAI_LABEL_APP_CONF.get("models", {}).get(model)
    if folder is None:
        return Algorithm(model, "unknown")
    metadata = read_json(Path(folder) / "configs" / "metadata.json")
    return Algorithm(metadata["name"], metadata["version"])
