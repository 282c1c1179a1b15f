"""The HTML page of a study: its answers, and what it folds."""

import html
import json
import re

import pytest
from sample_study import ROWS, change

from experiments.report import load_study
from experiments.report.comparison import compare
from experiments.report.differences import student_differences
from experiments.report.page_sections import answer_sections
from experiments.report.study import Model
from reporting.html_page import html_page


def answers_of(folder):
    """The texts of the first sections as a reader sees them."""
    page = html_page("title", "summary", answer_sections(load_study(folder)))
    body = re.sub(r"<[^>]*>", "\n", page[page.index("<main>") :])
    return [line for line in map(html.unescape, map(str.strip, body.splitlines())) if line]


def test_the_page_answers_first_and_folds_all_results(page_of_sample):
    page = page_of_sample.read_text(encoding="utf-8")
    assert re.findall(r"<h2>([^<]*)</h2>", page) == [
        "Which student should I deploy?",
        "How good is it on my site?",
        "Where does it fail?",
        "All results",
    ]
    folded = re.findall(r"<summary><h3>([^<]*)</h3>", page)
    assert folded[0] == "All candidates"
    assert folded[2:] == [
        *("Result", "Students and their baselines", "The paper&#39;s tables", "By site", "Pictures", "Calibration"),
        *("Size and speed", "Training", "Adaptive weights", "Settings and runs"),
    ]
    assert "<details open" not in page
    assert "Deploy “ENet &lt;distilled&gt;”. Its mean Dice is 88.9 on 4 test cases" in page
    # The worst case of the student comes first.
    assert re.findall(r"<p>(\w+) \(\w+\): Dice", page) == ["HK_Case02", "HK_Case01", "RUNMC_Case02", "RUNMC_Case01"]


def test_each_site_has_a_line_in_the_answer(small):
    lines = answers_of(small)
    start = lines.index("How good is it on my site?")
    assert lines[start + 1] == "“ENet <distilled>”: a mean Dice of 84.5 (HK) to 93.4 (RUNMC)."
    scores = load_study(small).rows[2].evaluation["summary"]["sites"]["HK"]
    cells = lines.index("HK", start)
    assert lines[cells + 1 : cells + 3] == ["ENet <distilled>", "2"]
    assert lines[cells + 3].startswith(f"{100 * scores['dice_mean']:.1f} (82.3 to 86.7)")
    assert lines[cells + 4 : cells + 7] == ["82.3", f"{scores['hd95_mm_mean']:.1f}", "0 of 2"]
    assert lines.index("all sites", cells) > cells


def test_a_student_under_way_may_change_the_answer(small):
    (small / "bundles/enet_kd/output/done.json").unlink()
    lines = answers_of(small)
    assert lines[lines.index("Which student should I deploy?") + 1].startswith(
        "Deploy “ENet alone”. Its mean Dice is 58.4"
    )
    assert "Not run so far, so the answer can change: “ENet <distilled>”." in lines
    assert "It missed the prostate in 1 of 4 cases: HK_Case02." in lines


def test_a_study_without_scores_or_without_a_student_has_no_answer(small):
    rows = json.loads((small / "study.json").read_text())["rows"]
    for row in rows[1:]:
        (small / "bundles" / row["name"] / "output/done.json").unlink()
    lines = answers_of(small)
    assert lines[lines.index("There is no answer yet.") + 1] == (
        "These models have no scores so far: “ENet alone” and “ENet <distilled>”."
    )
    assert "Where does it fail?" not in lines
    change(small / "study.json", rows=rows[:1])
    lines = answers_of(small)
    assert lines[lines.index("This study has nothing to deploy.") + 1] == (
        "It has no student and no network trained alone."
    )


def test_a_study_of_one_row_is_reported(small):
    rows = json.loads((small / "study.json").read_text())["rows"]
    change(small / "study.json", rows=[{**rows[2], "teachers": []}])
    lines = answers_of(small)
    assert "It is the only model with scores on these cases, so there is nothing to compare it with." in lines


def test_validation_cases_promise_no_score(small):
    settings = json.loads((small / "study.json").read_text())["settings"]
    change(small / "study.json", settings={**settings, "scored_on": "validation"})
    for row in ROWS[1:4]:
        change(small / "bundles" / row["name"] / "output/evaluation.json", part="validation")
    (rule,) = [line for line in answers_of(small) if line.startswith("The rule: ")]
    assert rule.endswith("These are validation cases: use them to choose settings, not to promise a score.")


def test_differences_are_told_for_all_cases_and_for_each_site(small):
    table, _ = student_differences(load_study(small))
    assert table.columns[3:] == ["shown from", "HK", "RUNMC", "cases", "seeds"]
    over_alone, over_teacher = (line.cells for line in table.lines)
    assert (over_alone[:2], over_teacher[:2]) == (["ENet <distilled>", "ENet alone"], ["ENet <distilled>", "PSPNet"])
    study = load_study(small)
    found = compare(Model([study.rows[2]]), Model([study.rows[1]]))
    assert over_alone[2] == f"{found.difference:+.1f} ({found.low:+.1f} to {found.high:+.1f})"
    # z.975 + z.8 is 2.802, and the four cases have a standard error of half the spread.
    assert float(over_alone[3]) == pytest.approx(2.802 * found.spread / 2, abs=0.06)
    alone, student = study.rows[1].cases, study.rows[2].cases
    for cell, site in zip(over_alone[4:6], ("HK", "RUNMC"), strict=True):
        points = [100 * (student[f"{site}_Case0{n}"]["dice"] - alone[f"{site}_Case0{n}"]["dice"]) for n in (1, 2)]
        assert cell == f"{sum(points) / 2:+.1f}"
    assert over_alone[6:] == ["4", "1"]


def test_a_study_without_a_student_has_no_differences(small):
    rows = json.loads((small / "study.json").read_text())["rows"]
    change(small / "study.json", rows=rows[:2])
    assert student_differences(load_study(small)) == []
