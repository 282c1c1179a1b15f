"""A made-up DICOM archive of any size: studies of one axial T2w series and one localizer, with images of 8x8 pixels.

``python -m benchmarks.archive FOLDER --studies 100000`` writes ``FOLDER/P000001/1`` to ``3``.
"""

import argparse
from io import BytesIO
from pathlib import Path

import numpy as np
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage
from tqdm import tqdm

SLICES = 5
SIDE = 8
ROOT = "1.2.826.0.1.3680043.8.498."
AXIAL, CORONAL = [1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1]
# Places in the file's bytes that differ from file to file. Each replacement has the same length.
STUDY, IMAGE, HEIGHT_MM = "77777777", "8888", "-999.0"


def make_archive(folder: Path, studies: int) -> int:
    """Write an archive and return its number of files."""
    pixels = np.random.default_rng(0).integers(0, 256, (1 << 20), np.uint8).tobytes()
    size = 2 * SIDE * SIDE
    axial, localizer = make_template(2, "t2_tse_tra", AXIAL), make_template(1, "localizer", CORONAL)
    for study in tqdm(range(studies), "writing", unit="study", disable=None):
        patient = folder / f"P{study:06d}"
        for number, template, count in ((1, localizer, 1), (2, axial, SLICES)):
            series = patient / str(number)
            series.mkdir(parents=True)
            for index in range(count):
                start = (study * 7919 + index * 104_729) % (len(pixels) - size)
                file = (
                    fill(template, study, number, index)
                    + study.to_bytes(4, "little")
                    + pixels[start : start + size - 4]
                )
                (series / f"IM{index:04d}").write_bytes(file)
    return studies * (SLICES + 1)


def fill(template: bytes, study: int, series: int, index: int) -> bytes:
    """The bytes of a study's image without its pixels."""
    for place, value in (
        (IMAGE, f"1{series}{index:02d}"),
        (STUDY, f"1{study:07d}"),  # after IMAGE, since a study's number can hold its digits
        (HEIGHT_MM, f"{3 * index + 100:06.1f}"),
    ):
        template = template.replace(place.encode(), value.encode())
    return template


def make_template(series: int, description: str, orientation: list[int]) -> bytes:
    """The bytes of an image, without its pixels, with STUDY, IMAGE and HEIGHT_MM in the place of its values."""
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID = MRImageStorage
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID = f"{ROOT}{STUDY}.{IMAGE}"
    image.StudyInstanceUID, image.SeriesInstanceUID = f"{ROOT}{STUDY}", f"{ROOT}{STUDY}.{series}"
    image.PatientID, image.Modality, image.SeriesDescription = f"P{STUDY}", "MR", description
    image.SeriesNumber, image.ImageType = series, ["ORIGINAL", "PRIMARY", "M"]
    image.EchoTime, image.RepetitionTime, image.ScanningSequence = 104, 5660, "SE"
    image.ImageOrientationPatient, image.PixelSpacing = orientation, [0.5, 0.5]
    image.ImagePositionPatient = ["-31.4", "-22.7", HEIGHT_MM]
    image.Rows = image.Columns = SIDE
    image.SamplesPerPixel, image.PhotometricInterpretation, image.PixelRepresentation = 1, "MONOCHROME2", 0
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit = 15
    image.PixelData = bytes(2 * SIDE * SIDE)
    buffer = BytesIO()
    dcmwrite(buffer, image, enforce_file_format=True)
    return buffer.getvalue()[: -2 * SIDE * SIDE]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.archive", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--studies", type=int, default=100_000)
    options = parser.parse_args()
    print(make_archive(options.folder, options.studies), "files in", options.folder)
