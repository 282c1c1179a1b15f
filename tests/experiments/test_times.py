import json

from experiments.report.study import load_study
from experiments.report.times import seconds_of, times_section
from experiments.schedule import path_lengths, time_of_all


def test_long_chains_come_first_and_fill_the_devices():
    seconds = {"teacher": 4, "weak": 1, "student": 5, "alone": 6, "tiny": 1}
    teachers = {"student": ["teacher", "weak"]}
    assert path_lengths(seconds, teachers) == {"teacher": 9, "weak": 6, "student": 5, "alone": 6, "tiny": 1}
    assert time_of_all(seconds, teachers, side_by_side=1) == 17
    # 0: teacher and weak. 1: alone, after weak. 4: student, after teacher. 7: tiny, after alone. 9: the student ends.
    assert time_of_all(seconds, teachers, side_by_side=2) == 9
    assert time_of_all(seconds, teachers, side_by_side=16) == 9  # the chain of teacher and student


def write_study(folder, attempts):
    shared = {"role": "teacher", "network": "enet", "sites": [], "seed": 0, "settings": {}}
    split = {"name": "all", "sha256": "abc"}
    rows = [{**shared, "name": name, "label": name, "teachers": []} for name in attempts]
    rows[-1] |= {"role": "student", "teachers": list(attempts)[:-1]}
    study = {"title": "T", "dataset": "d", "split": split, "machine": {}, "settings": {"scored_on": "test"}}
    (folder / "study.json").write_text(json.dumps({**study, "rows": rows}))
    for name, own in attempts.items():
        output = folder / "bundles" / name / "output"
        output.mkdir(parents=True)
        (output / "evaluation.json").write_text(json.dumps({"split": split, "part": "test", "cases": []}))
        (output / "done.json").write_text("{}")
        if own:
            (output / "attempts.json").write_text(json.dumps({"attempts": own}))


def attempt(started, ended, host="n1", gpu="", id=""):
    return {"started": started, "host": host, "gpu": gpu, "id": id, **({"ended": ended} if ended else {})}


def test_the_report_says_how_long_each_run_took_where_and_the_whole_on_more_gpus(tmp_path):
    attempts = {
        "north": [attempt(0, 60, gpu="0")],
        "south": [attempt(0, 30, id="7"), attempt(100, 190, host="n2", gpu="1", id="8"), attempt(500, None)],
        "student": [attempt(200, 3800, gpu="0"), attempt(4000, 4010, gpu="0")],
    }
    write_study(tmp_path, attempts)
    study = load_study(tmp_path)
    assert [seconds_of(run) for run in study.runs] == [60, 120, 3610]
    table, whole, note = times_section(study).blocks
    assert [line.cells for line in table.lines] == [
        ("north", "n1, GPU 0", "1 min 0 s", "1"),
        ("south", "n1, job 7; n2, GPU 1, job 8", "2 min 0 s", "2"),
        ("student", "n1, GPU 0", "1 h 0 min", "2"),
    ]
    assert whole.columns == ("GPUs", "time")
    assert [line.cells for line in whole.lines] == [("1", "1 h 3 min"), ("4", "1 h 2 min"), ("16", "1 h 2 min")]
    assert "the longest chain of them takes 1 h 2 min" in note.text


def test_a_gpu_is_named_once(tmp_path):
    write_study(tmp_path, {"north": [attempt(0, 60, gpu="GPU-5c1d")], "student": []})
    assert times_section(load_study(tmp_path)).blocks[0].lines[0].cells[1] == "n1, GPU 5c1d"


def test_a_study_of_a_former_version_has_no_times(tmp_path):
    write_study(tmp_path, {"north": [], "student": []})
    assert times_section(load_study(tmp_path)).blocks == []
