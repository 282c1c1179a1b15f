"""The variables of ``make`` reach the programs as the user typed them, or make refuses them before it runs a program.

A script that writes down its arguments replaces the programs.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
ODD = ["two words", 'O\'Brien "x"', "a$b$(c);`d`&|#3", "a,b=c\\(x)%y:z"]
ON_BUNDLE = ["-m", "custom_components.bundle"]
STAND_IN = """#!{python}
import json, os, pathlib, subprocess, sys
if sys.argv[1] == "-c":
    sys.exit(subprocess.run([sys.executable, *sys.argv[1:]]).returncode)
names = ("PSA", "IN", "HOLOSCAN_INPUT_PATH", "HOLOSCAN_MODEL_PATH")
seen = {{name: os.environ[name] for name in names if name in os.environ}}
with open("calls", "a") as calls:
    calls.write(json.dumps([sys.argv[1:], seen]) + "\\n")
if "import" in sys.argv:
    dataset = pathlib.Path(sys.argv[sys.argv.index("--out") + 1])
    dataset.mkdir()
    (dataset / "dataset.json").touch()
"""


@pytest.fixture
def make(tmp_path) -> Callable[..., tuple[list[list[str]], subprocess.CompletedProcess]]:
    """``make("demo", OUT="x")`` returns the arguments of the programs that it started, and the output of make."""
    for name in (
        "Makefile",
        "variables.mk",
        "requirements.txt",
        "tests/requirements.txt",
        "pyproject.toml",
        "integrations/hosts.mk",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(REPOSITORY / name, tmp_path / name)
    stand_in = tmp_path / "python"
    stand_in.write_text(STAND_IN.format(python=sys.executable))
    stand_in.chmod(0o755)
    prepared = []
    for host in ("", "LABEL_", "DEPLOY_", "NODE_"):
        (tmp_path / f"{host}ready").touch()
        prepared += [f"{host}PY={stand_in}", f"{host}READY={host}ready", "-o", f"{host}ready"]

    def run(target: str, **variables: str) -> tuple[list[list[str]], subprocess.CompletedProcess]:
        calls = tmp_path / "calls"
        calls.unlink(missing_ok=True)
        words = [f"{name}={value}" for name, value in variables.items()]
        environment = {"PATH": os.environ["PATH"], "HOME": "/home/me"}
        command = ["make", *prepared, target, *words]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        lines = calls.read_text().splitlines() if calls.exists() else []
        return [json.loads(line)[0] for line in lines], done

    return run


@pytest.mark.parametrize("name", ODD)
def test_a_demo_of_any_folder(make, tmp_path, name):
    calls, done = make("demo", DATASET=f"raw/{name}", OUT=f"{name}/out", SIZE="9 6", SEEDS="0 1", SITES="A B,C")
    assert done.returncode == 0, done.stderr
    out, raw = f"{name}/out", str(tmp_path / "raw" / name)
    options = ["--jobs", "2", "--size", "9 6", "--groups", "A", "B,C", "--seeds", "0", "1"]
    assert calls == [
        ["-m", "data_prep", "import", raw, "--out", f"{out}/dataset", "--site-folders"],
        ["-m", "experiments", "run", "--plan", "demo", "--dataset", f"{out}/dataset", "--out", out, *options],
    ]
    assert (tmp_path / out / "source").read_text() == f"{raw}\n"


@pytest.mark.parametrize("name", ODD)
def test_a_study_is_named_after_its_data(make, tmp_path, name):
    calls, _ = make("demo", DATASET=f"{tmp_path}/{name}/")
    assert calls[0][2:] == ["import", str(tmp_path / name), "--out", f"runs/{name}/dataset"]


def test_the_phantom(make, tmp_path):
    calls, _ = make("demo")
    raw = str(tmp_path / "runs" / "demo" / "phantom")
    assert calls[0] == ["-m", "data_prep", "phantom", raw, "--cases-per-site", "8"]
    assert calls[1] == ["-m", "data_prep", "import", raw, "--out", "runs/demo/dataset", "--keep-ids"]
    assert calls[2][-6:] == ["--groups", "RUNMC", "UCL", "BIDMC", "--leave-out", "HK"]
    assert len(make("demo")[0]) == 1  # the dataset exists already, so only the study runs


@pytest.mark.parametrize("name", ODD)
def test_the_new_site_of_a_users_data(make, name):
    assert make("demo", DATASET="raw", NEW_SITE=name)[0][1][-2:] == ["--leave-out", name]


def test_a_study_of_other_data_is_refused(make):
    make("demo", DATASET="my data", OUT="my out")
    calls, done = make("demo", DATASET="other data", OUT="my out")
    assert (calls, done.returncode) == ([], 2)
    assert done.stderr.startswith("error: my out is a study of /")


def test_a_folder_with_a_dataset_from_elsewhere_is_refused(make, tmp_path):
    (tmp_path / "mine/dataset").mkdir(parents=True)
    (tmp_path / "mine/dataset/dataset.json").touch()
    calls, done = make("demo", OUT="mine")
    assert (calls, done.returncode) == ([], 2)
    assert done.stderr.startswith("error: mine is a study of another dataset; give another folder, OUT=runs/<name>\n")


def test_a_home_folder(make):
    assert make("card", BUNDLE="~/a b", TRAINED="~/c ~/d")[0][0] == [
        *ON_BUNDLE,
        "card",
        "/home/me/a b",
        "/home/me/c ~/d",
    ]


@pytest.mark.parametrize("name", ODD)
def test_every_other_program(make, name):
    assert make("complexity", EXPORTED=name)[0] == [["-m", "experiments", "complexity", "--exported", name]]
    assert make("card", BUNDLE=name, TRAINED=name)[0][0] == [*ON_BUNDLE, "card", name, name]
    assert make("package", BUNDLE=name)[0] == [[*ON_BUNDLE, "package", name]]
    options = ["--calibrate", name, "--datalist", name]
    assert make("export", BUNDLE=name, CALIBRATE=name, DATALIST=name)[0] == [[*ON_BUNDLE, "export", name, *options]]


@pytest.mark.parametrize("name", ODD)
def test_a_label_server(make, name):
    calls, _ = make("label", STUDIES=name, MODELS="enet 'my bundle'", TEACHERS='"a b"')
    options = ["--models", "enet", "my bundle", "--teachers", "a b"]
    assert calls == [["-m", "integrations.monai_label", "--studies", name, "--port", "8000", *options]]


@pytest.mark.parametrize("name", ODD)
def test_a_node(make, name):
    assert make("node", CONFIG=name)[0] == [["-m", "student_runner.node", name]]


@pytest.mark.parametrize("name", ODD)
def test_a_deployment(make, tmp_path, name):
    bundle = tmp_path / name
    for file in ("models/model.pt", "configs/inference.json"):
        (bundle / file).parent.mkdir(parents=True)
        (bundle / file).touch()
    (bundle / "models" / "model.ts").touch()
    assert make("deploy", BUNDLE=name, IN=name, OUT=name, PSA=name)[0] == [["integrations/monai_deploy"]]
    (_, seen), *_ = (json.loads(line) for line in (tmp_path / "calls").read_text().splitlines())
    model = f"{bundle}/models/model.ts"
    assert seen == {"PSA": name, "IN": name, "HOLOSCAN_INPUT_PATH": name, "HOLOSCAN_MODEL_PATH": model}
    os.utime(bundle / "models" / "model.ts", (0, 0))
    calls, done = make("deploy", BUNDLE=str(bundle), IN=name, OUT=name)
    assert calls[0][:8] == [
        "-W",
        "ignore",
        "-m",
        "monai.bundle",
        "ckpt_export",
        "--net_id",
        "network_def",
        "--filepath",
    ]
    assert calls[0][8] == f"{bundle}/models/model.ts.part"
    assert done.returncode == 2  # the script has not written the expected file


def test_a_deployment_takes_the_student_file_of_the_present_weights(make, tmp_path):
    files = [tmp_path / "b" / name for name in ("configs/inference.json", "models/model.pt", "models/student.onnx")]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    assert make("deploy", BUNDLE="b", IN="in", OUT="out")[0] == [["integrations/monai_deploy"]]
    seen = json.loads((tmp_path / "calls").read_text())[1]
    assert seen["HOLOSCAN_MODEL_PATH"] == f"{tmp_path}/b/models/student.onnx"
    os.utime(files[-1], (0, 0))
    calls, _ = make("deploy", BUNDLE="b", IN="in", OUT="out")
    assert calls[0][8] == f"{tmp_path}/b/models/model.ts.part"


def test_a_bundle_without_weights(make, tmp_path):
    (tmp_path / "my bundle" / "configs").mkdir(parents=True)
    calls, done = make("deploy", BUNDLE="my bundle", IN="in", OUT="out")
    assert calls == []
    assert done.stderr.startswith(f"error: {tmp_path}/my bundle/models/model.pt: no such checkpoint; train the bundle")


@pytest.mark.parametrize("sign", [";", "$", "#", "\\"])
@pytest.mark.parametrize("name", ["SITES", "SEEDS", "IMPORT", "MODELS", "TEACHERS"])
def test_a_list_with_a_sign_of_the_shell_is_refused(make, name, sign):
    target = {"MODELS": "label", "TEACHERS": "label"}.get(name, "demo")
    needed = {"STUDIES": "x", "MODELS": "enet"} if target == "label" else {}
    calls, done = make(target, **{**needed, name: f"a {sign}b"})
    assert (calls, done.returncode) == ([], 2)
    assert f"{name}=a {sign}b: a list cannot hold a {sign}" in done.stderr.splitlines()[0]


@pytest.mark.parametrize("target", ["card", "package", "export", "label", "deploy", "deploy-app", "web", "node"])
def test_what_is_lacking_is_asked_for(make, target):
    calls, done = make(target)
    assert calls == []
    assert done.stderr.startswith("error: give ")


@pytest.mark.parametrize(
    ("target", "name", "takes"),
    [
        ("demo", "PYTHNO", "DATASET EPOCHS IMPORT JOBS NEW_SITE OUT SEEDS SITES SIZE"),
        ("package", "DATASET", "BUNDLE"),  # a variable of another target
        ("label", "OHIF", "MODELS PORT SERIES STUDIES TEACHERS TIE"),
        ("help", "BUNDLE", "none"),
    ],
)
def test_a_variable_that_a_target_does_not_take_is_named(make, target, name, takes):
    calls, done = make(target, **{name: "x"})
    assert (calls, done.returncode) == ([], 2)
    (line,) = done.stderr.splitlines()
    assert f"{name}: 'make {target}' takes no such variable; it takes {takes}, and PYTHON=<program>." in line


def test_variables_of_pip_reach_it(make):
    assert make("package", BUNDLE="enet", PIP_FIND_LINKS="/wheels", CUDA_VISIBLE_DEVICES="")[1].returncode == 0


def test_the_list_of_targets_says_what_each_needs(make):
    _, done = make("help")
    lines = done.stdout.splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("card "))
    assert lines[place].endswith("[.venv]")
    assert lines[place + 1].strip() == "make card BUNDLE=enet [TRAINED=runs/mine/bundles/enet_three]"
    assert next(line for line in lines if line.startswith("label ")).endswith("[.venv-label]")
    assert next(line for line in lines if line.startswith("test-flare ")).endswith("[.venv-flare]")
    assert not next(line for line in lines if line.startswith("clean ")).endswith("]")


def test_clean_keeps_data_studies_and_weights(make, tmp_path):
    gone = [".venv/lib/x", ".venv-label/x", ".uv/bin/uv", "web/node_modules/x", "a/__pycache__/x", "build/x"]
    gone += ["runner/build/x", "runner/a.egg-info/x"]  # an installation of the runner leaves them
    kept = ["runs/demo/x", "bundles/enet/models/model.pt", "bundles/enet/output/x", "dataset/x"]
    for name in gone + kept:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    _, done = make("disk")
    told = {line.split("\t")[1] for line in done.stdout.splitlines()}
    assert {".venv", ".venv-label", ".uv", "runs", "bundles/enet/models", "total"} <= told
    _, done = make("clean")
    assert done.returncode == 0, done.stderr
    assert [name for name in gone if (tmp_path / name).exists()] == []
    assert [name for name in kept if not (tmp_path / name).exists()] == []
    assert "runs" in done.stdout.split("left:")[1]
    assert make("clean")[1].returncode == 0
