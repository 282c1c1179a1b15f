import pytest

from custom_components.foundation.tables import markdown_table, text_lines, text_table

COLUMNS = ["model", "role", "Dice %"]
ROWS = [["ENet", "student", "9.1"], ["DeepLabV3+", "teacher", "82.3"]]


def test_words_stand_to_the_left_and_figures_to_the_right():
    assert text_table(COLUMNS, ROWS, texts=2).splitlines() == [
        "model       role     Dice %",
        "---------------------------",
        "ENet        student     9.1",
        "DeepLabV3+  teacher    82.3",
    ]


def test_lines_without_a_head_end_without_spaces():
    assert text_lines([["a", "done", ""], ["bb", "", "12"]], texts=3) == ["a   done", "bb        12"]


def test_markdown_for_a_page():
    assert markdown_table(COLUMNS, ROWS, texts=2).splitlines() == [
        "| model | role | Dice % |",
        "| --- | --- | ---: |",
        "| ENet | student | 9.1 |",
        "| DeepLabV3+ | teacher | 82.3 |",
    ]


def test_aligned_markdown_also_reads_unrendered():
    assert markdown_table(COLUMNS, ROWS, texts=2, aligned=True).splitlines() == [
        "| model      | role    | Dice % |",
        "| ---------- | ------- | -----: |",
        "| ENet       | student |    9.1 |",
        "| DeepLabV3+ | teacher |   82.3 |",
    ]


def test_a_narrow_column_keeps_a_rule_that_markdown_knows():
    assert markdown_table(["a", "b"], [["x", "1"]], aligned=True).splitlines()[1] == "| --- | --: |"


def test_a_bar_or_a_line_break_in_a_name_does_not_break_the_table():
    assert markdown_table(["site|s", "n"], [["A|B", "1"], ["C\nD", "2"]]).splitlines() == [
        "| site\\|s | n |",
        "| --- | ---: |",
        "| A\\|B | 1 |",
        "| C D | 2 |",
    ]
    assert text_table(["site", "n"], [["C\nD", "2"]]).splitlines()[2] == "C D   2"


@pytest.mark.parametrize("write", [text_table, markdown_table])
def test_a_table_without_rows_has_its_head(write):
    assert len(write(COLUMNS, []).splitlines()) == 2


@pytest.mark.parametrize("write", [text_table, markdown_table])
def test_a_row_with_too_few_cells_is_refused(write):
    with pytest.raises(ValueError, match=r"\Azip\(\) argument 2 is (?:shorter|longer)"):
        write(COLUMNS, [["ENet", "student"]], **({"aligned": True} if write is markdown_table else {}))
