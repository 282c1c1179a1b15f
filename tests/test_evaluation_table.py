from custom_components.evaluation_table import EVALUATION_COLUMNS, evaluation_rows

HK = {
    **{"n": 2, "missed": 1, "dice_mean": 0.4375, "dice_std": 0.06251, "hd95_mm_mean": 12.34, "hd95_mm_std": 0.96},
    **{"asd_mm_mean": 2.04, "asd_mm_std": 1.0},
}


def test_a_row_for_each_site_and_one_for_all():
    rows = evaluation_rows({"sites": {"HK": HK}, "all": {**HK, "n": 5}}, all_sites="**all**")
    assert rows == [
        ["HK", "2", "0.438 ± 0.063", "12.3 ± 1.0", "2.0 ± 1.0", "1"],
        ["**all**", "5", "0.438 ± 0.063", "12.3 ± 1.0", "2.0 ± 1.0", "1"],
    ]
    assert len(rows[0]) == len(EVALUATION_COLUMNS)
