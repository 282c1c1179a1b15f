from dicom_studies import SAGITTAL, save, series_datasets

from data_prep.__main__ import main


def test_the_series_of_a_study_are_shown_with_their_reasons(tmp_path, capsys):
    save(series_datasets(number=3, orientation=SAGITTAL, description="t2_tse_sag"), tmp_path / "a")
    save(series_datasets(number=4), tmp_path / "b")
    assert main(["series", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "   3 t2_tse_sag  sagittal",
        "-> 4 t2_tse_tra  picked: axial, TE 104 ms, TR 5660 ms, 6 slices",
        f"{tmp_path}: 1 study, no problems",
    ]


def test_a_tie_is_shown_and_decided_as_told(tmp_path, capsys):
    for number in (4, 9):
        save(series_datasets(number=number), tmp_path / str(number))
    assert main(["series", str(tmp_path)]) == 3
    shown = capsys.readouterr()
    assert shown.out.count("fits: axial") == 2
    for number in (4, 9):  # the UID, by which --series can choose one of them
        assert f"6 slices  {series_datasets(number=number)[0].SeriesInstanceUID}\n" in shown.out
    assert shown.err == "P1: has 2 axial T2w series (numbers 4, 9); choose with --series or --tie\n"
    assert main(["series", str(tmp_path), "--tie", "last"]) == 0
    assert "-> 9 t2_tse_tra  picked" in capsys.readouterr().out


def test_a_folder_without_dicom_is_one_line(tmp_path, capsys):
    (tmp_path / "readme.txt").write_text("no DICOM")
    assert main(["series", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"error: {tmp_path}: holds no DICOM image; check the path\n"
