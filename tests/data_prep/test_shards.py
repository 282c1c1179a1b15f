import pytest
from raw_cases import KEEP, files_of, read_cases, save, small_image

from custom_components.foundation.files import read_json
from data_prep.__main__ import main
from data_prep.importing import import_dataset


def test_shards_merge_into_what_one_import_gives(raw_folder, tmp_path):
    (raw_folder / "HK" / "Case01.nii.gz").write_bytes(b"broken")
    (raw_folder / "HK" / "Case02_segmentation.nii.gz").unlink()
    (raw_folder / "UCL" / "Case03.nii.gz").unlink()
    save(raw_folder / "UCL" / "Case00.nii.gz", small_image(5))
    save(raw_folder / "RUNMC" / "Case07.nii.gz", small_image(5))
    import_dataset(raw_folder, tmp_path / "whole" / "set")
    parts = [tmp_path / f"part{number}" for number in (1, 2, 3)]
    for number, part in enumerate(parts, 1):
        main(["import", str(raw_folder), "--out", str(part), "--shard", f"{number}/3", *KEEP])
        assert 2 <= len(read_cases(part)) <= 8
    assert main(["merge", *map(str, parts), "--out", str(tmp_path / "set")]) == 0
    assert files_of(tmp_path / "set") == files_of(tmp_path / "whole" / "set")
    for file in files_of(tmp_path / "set"):
        assert (tmp_path / "set" / file).read_bytes() == (tmp_path / "whole" / "set" / file).read_bytes(), file


def test_shards_without_a_sound_case_are_parts_too(add_case, tmp_path, capsys):
    add_case("HK", 0)
    add_case("HK", 1).write_bytes(b"broken")
    parts = [tmp_path / f"part{number}" for number in (1, 2, 3, 4)]
    codes = [
        main(["import", str(tmp_path / "raw"), "--out", str(part), "--shard", f"{number}/4", *KEEP])
        for number, part in enumerate(parts, 1)
    ]
    assert sorted(codes) == [0, 0, 0, 3]
    assert sorted(len(read_cases(part)) for part in parts) == [0, 0, 0, 1]
    assert main(["merge", *map(str, parts), "--out", str(tmp_path / "set")]) == 0
    assert list(read_cases(tmp_path / "set")) == ["HK_Case00"]
    assert [row["case"] for row in read_json(tmp_path / "set" / "quarantine.json")["findings"]] == ["HK_Case01"]

    empty = [str(part) for part in parts if not read_cases(part)]
    capsys.readouterr()
    assert main(["merge", *empty, "--out", str(tmp_path / "nothing")]) == 1
    assert "none of the datasets to merge holds a case; nothing was written" in capsys.readouterr().err
    assert not (tmp_path / "nothing").exists()


def test_what_does_not_fit_is_not_merged(raw_folder, tmp_path, capsys):
    import_dataset(raw_folder, tmp_path / "one")
    main(["import", str(raw_folder), "--out", str(tmp_path / "two"), "--key-file", str(tmp_path / "key")])
    for datasets, message in (
        (["one", "one"], "has the case"),
        (["one", "two"], "was made with ids"),
        (["one", "raw"], "no such file"),
    ):
        capsys.readouterr()
        code = main(["merge", *(str(tmp_path / name) for name in datasets), "--out", str(tmp_path / "merged")])
        assert (code, message in capsys.readouterr().err) == (1, True)
        assert not (tmp_path / "merged").exists()


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "a/b", "-1/2", "1/2/3"])
def test_a_shard_that_is_none_is_refused(raw_folder, tmp_path, shard):
    with pytest.raises(SystemExit) as stop:
        main(["import", str(raw_folder), "--out", str(tmp_path / "set"), f"--shard={shard}"])
    assert stop.value.code == 2
