import gdcm
import numpy as np
import pytest
from dicom_studies import enhanced_dataset, item, save, series_datasets, voxels
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import (
    MPEG4HP41,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from custom_components.foundation.errors import InputError
from data_prep.dicom import find_series, read_series
from data_prep.dicom.headers import quietly


def read(folder) -> np.ndarray:
    (series,) = find_series(folder)
    return read_series(series).voxels


def compress(path, kind: str) -> None:
    """Compress a file in place with GDCM, which has an encoder for every syntax."""
    reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    reader.SetFileName(str(path))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, kind)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()


@pytest.mark.parametrize("dtype", [np.uint16, np.int16])
@pytest.mark.parametrize(
    ("kind", "syntax"),
    [
        ("RLELossless", RLELossless),
        ("JPEGLosslessProcess14", JPEGLossless),
        ("JPEGLosslessProcess14_1", JPEGLosslessSV1),
        ("JPEGLSLossless", JPEGLSLossless),
        ("JPEG2000Lossless", JPEG2000Lossless),
    ],
)
def test_lossless_compression_gives_the_same_voxels(tmp_path, kind, syntax, dtype):
    image = (voxels().astype(int) - (400 if dtype == np.int16 else 0)).astype(dtype)
    for path in save(series_datasets(image), tmp_path):
        compress(path, kind)
        assert dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID == syntax
    assert read(tmp_path).dtype == dtype
    np.testing.assert_array_equal(read(tmp_path), image)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_other_encodings_give_the_same_voxels(tmp_path, syntax):
    datasets = series_datasets(voxels())
    for dataset in datasets:
        dataset.file_meta.TransferSyntaxUID = syntax
    save(datasets, tmp_path)
    np.testing.assert_array_equal(read(tmp_path), voxels())


def test_big_endian_gives_the_same_voxels(tmp_path):
    datasets = series_datasets(voxels())
    for dataset in datasets:
        dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
        dataset["PixelData"].VR = "OW"
    save(datasets, tmp_path)
    np.testing.assert_array_equal(read(tmp_path), voxels())


@pytest.mark.parametrize("scale", [{"RescaleSlope": 2, "RescaleIntercept": -100}, {"RescaleSlope": 0.5}])
def test_values_are_rescaled_slice_by_slice(tmp_path, scale):
    datasets = series_datasets(voxels())
    for keyword, value in scale.items():
        setattr(datasets[2], keyword, value)
    save(datasets, tmp_path)
    expected = voxels().astype(np.float32)
    expected[:, :, 2] = expected[:, :, 2] * scale["RescaleSlope"] + scale.get("RescaleIntercept", 0)
    assert read(tmp_path).dtype == np.float32
    np.testing.assert_array_equal(read(tmp_path), expected)


@pytest.mark.parametrize("blank", [None, "", "  ", "\\"])
@pytest.mark.parametrize("keyword", ["RescaleSlope", "RescaleIntercept"])
def test_an_empty_scale_is_none(tmp_path, keyword, blank):
    with quietly():
        save(series_datasets(voxels(), **{keyword: blank}), tmp_path)
    assert read(tmp_path).dtype == np.uint16
    np.testing.assert_array_equal(read(tmp_path), voxels())


def test_nulls_in_place_of_a_number_are_none(tmp_path):
    for path in save(series_datasets(voxels(), RescaleSlope="1", EchoTime="104"), tmp_path):
        content = path.read_bytes()
        for element in (b"DS\x02\x001 ", b"DS\x04\x00104 "):
            assert content.count(element) == 1
            content = content.replace(element, element[:4] + bytes(len(element) - 4))
        path.write_bytes(content)
    (series,) = find_series(tmp_path)
    assert series.first.echo_time_ms is None
    np.testing.assert_array_equal(read(tmp_path), voxels())


def test_an_empty_intercept_leaves_the_slope(tmp_path):
    save(series_datasets(voxels(), RescaleSlope=2, RescaleIntercept=None), tmp_path)
    np.testing.assert_array_equal(read(tmp_path), 2 * voxels().astype(np.float32))


def test_a_slope_said_twice_is_one_and_two_slopes_are_refused(tmp_path):
    save(series_datasets(voxels(), RescaleSlope=[2, 2]), tmp_path / "same")
    np.testing.assert_array_equal(read(tmp_path / "same"), 2 * voxels().astype(np.float32))
    save(series_datasets(voxels(), RescaleSlope=[2, 3]), tmp_path / "other")
    with pytest.raises(InputError, match=r"\A\S+/IM0000: has 2 values of RescaleSlope for one image; export it again"):
        read(tmp_path / "other")


@pytest.mark.parametrize(
    "lacking", ["SamplesPerPixel", "PhotometricInterpretation", "BitsStored", "PixelRepresentation"]
)
def test_what_pixels_need_is_named_when_it_is_empty(tmp_path, lacking):
    datasets = series_datasets()
    setattr(datasets[0], lacking, None)
    save(datasets, tmp_path)
    with pytest.raises(InputError, match=rf"\A{tmp_path}/IM0003: has no {lacking}, without which pixels mean nothing"):
        read(tmp_path)


def test_dark_is_made_low_where_monochrome1_says_that_low_is_bright(tmp_path):
    save(series_datasets(voxels(), PhotometricInterpretation="MONOCHROME1"), tmp_path)
    np.testing.assert_array_equal(read(tmp_path), 4095 - voxels())


def test_signed_monochrome1_is_turned_too(tmp_path):
    image = (voxels().astype(int) - 700).astype(np.int16)
    save(series_datasets(image, PhotometricInterpretation="MONOCHROME1"), tmp_path)
    np.testing.assert_array_equal(read(tmp_path), -1 - image)


def test_bits_beyond_those_stored_are_not_part_of_the_value(tmp_path):
    datasets = series_datasets(voxels())
    for dataset in datasets:
        stored = np.frombuffer(dataset.PixelData, np.uint16) | 0xA000  # an overlay in the unused bits
        dataset.PixelData = stored.astype(np.uint16).tobytes()
    save(datasets, tmp_path)
    np.testing.assert_array_equal(read(tmp_path), voxels())


def test_an_enhanced_image_is_rescaled_frame_by_frame(tmp_path):
    dataset = enhanced_dataset(voxels())
    for index, group in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        scale = item(RescaleSlope=index + 1, RescaleIntercept=0)
        group.PixelValueTransformationSequence = [scale]
    save([dataset], tmp_path)
    np.testing.assert_array_equal(read(tmp_path), voxels() * np.arange(1, 7, dtype=np.float32))


def test_an_enhanced_image_and_its_classic_series_give_the_same_volume(tmp_path):
    save([enhanced_dataset(voxels())], tmp_path / "enhanced")
    save(series_datasets(voxels()), tmp_path / "classic")
    enhanced, classic = (read_series(find_series(tmp_path / kind)[0]) for kind in ("enhanced", "classic"))
    np.testing.assert_array_equal(enhanced.voxels, classic.voxels)
    np.testing.assert_allclose(enhanced.affine, classic.affine, atol=1e-9)


def no_pixels(dataset):
    del dataset.PixelData


def half_the_pixels(dataset):
    dataset.PixelData = dataset.PixelData[: len(dataset.PixelData) // 2]


def video(dataset):
    dataset.PixelData = encapsulate([b"\0" * 64])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = MPEG4HP41


def colour(dataset):
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.PixelData *= 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (no_pixels, "IM0003: has no pixel data"),
        (half_the_pixels, "IM0003: its pixels are truncated or damaged"),
        (video, r"IM0003: is compressed in a way that is not read here \(MPEG-4 .*\); decompress it first"),
        (colour, "IM0003: holds colour pixels"),
    ],
)
def test_pixels_that_cannot_be_read_are_named(tmp_path, change, message):
    datasets = series_datasets()
    change(datasets[0])
    save(datasets, tmp_path)
    with pytest.raises(InputError, match=rf"\A{tmp_path}/{message}"):
        read(tmp_path)


@pytest.mark.parametrize("kind", ["JPEGLosslessProcess14_1", "JPEGLSLossless", "JPEG2000Lossless"])
def test_a_slice_whose_compressed_stream_is_damaged_is_named(tmp_path, kind):
    path = save(series_datasets(), tmp_path)[0]
    compress(path, kind)
    content = path.read_bytes()
    start = content.rindex(b"\xff\x4f\xff\x51" if kind.startswith("JPEG2000") else b"\xff\xd8\xff")
    path.write_bytes(content[:start] + bytes(40) + content[start + 40 :])
    with pytest.raises(InputError, match=r"\A\S+/IM0003: its pixels are truncated or damaged; copy it again"):
        read(tmp_path)


def test_a_compressed_slice_that_was_cut_off_is_named_and_nothing_else_is_said(tmp_path, capfd):
    path = save(series_datasets(), tmp_path)[0]
    compress(path, "JPEGLSLossless")
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(InputError, match=r"\A\S+/IM0003: has no pixel data, or lost it; copy or export it again"):
        read(tmp_path)
    assert capfd.readouterr() == ("", "")
