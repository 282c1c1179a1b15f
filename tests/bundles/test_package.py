"""A packaged bundle runs where only MONAI is installed, gives the same masks, and holds no names."""

import ast
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from monai.bundle import ckpt_export
from packaging.requirements import Requirement

from custom_components.bundle.packaging import package
from custom_components.data import load_datalist
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import file_sha256, write_json
from custom_components.loss_terms import TERMS
from custom_components.teachers import load_teacher

NAME = "prostate_mri_enet"


def change(file: Path, **entries) -> None:
    write_json(file, json.loads(file.read_text()) | entries)


@pytest.fixture
def unpack(tmp_path):
    """``unpack(bundle)`` packs a bundle, unpacks it in another place, and returns the unpacked folder."""

    def to_elsewhere(bundle) -> Path:
        archive = package(str(bundle.path), tmp_path / "dist")
        with zipfile.ZipFile(archive) as unpacked:
            unpacked.extractall(tmp_path / "elsewhere")
        return tmp_path / "elsewhere" / archive.name.partition("_v")[0]

    return to_elsewhere


def required(names: list[str], found: set[str]) -> set[str]:
    """The distributions with these names, and all distributions that they require."""
    for name in names:
        if name in found or not list(metadata.distributions(name=name)):
            continue
        found.add(name)
        requirements = [Requirement(text) for text in metadata.requires(name) or []]
        needed = [need for need in requirements if need.marker is None or need.marker.evaluate({"extra": ""})]
        required([need.name for need in needed], found)
    return found


def declared(bundle: Path) -> list[str]:
    """The packages that a bundle's metadata requires."""
    content = json.loads((bundle / "configs" / "metadata.json").read_text())
    return ["monai", "torch", "numpy", *content["required_packages_version"]]


@pytest.fixture
def monai_alone(tmp_path):
    """``monai_alone(bundle)``: the environment of a process which finds just the packages that the bundle declares."""

    def environment(bundle: Path) -> dict[str, str]:
        site = tmp_path / "site"
        site.mkdir()
        for name in required(declared(bundle), set()):
            distribution = metadata.distribution(name)
            for top in {file.parts[0] for file in distribution.files} - {"..", "__pycache__"}:
                if not (site / top).exists():
                    (site / top).symlink_to(distribution.locate_file(top))
        return {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}

    return environment


def run_alone(environment: dict[str, str], *arguments: object) -> str:
    # -S: without the site packages, where this project may be installed.
    command = [sys.executable, "-S", "-m", "monai.bundle", *map(str, arguments)]
    done = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_stranger_gets_the_masks_of_the_repositorys_bundle(
    make_trained, unpack, monai_alone, workflow, dataset_dir, tmp_path
):
    bundle = make_trained("enet")
    folder = unpack(bundle)
    volumes = tmp_path / "volumes"
    volumes.mkdir()
    for volume in sorted((dataset_dir / "images").iterdir())[:2]:
        shutil.copy(volume, volumes)
    workflow(bundle.path, "inference", dataset_dir=str(volumes), output_dir=str(tmp_path / "here")).run()

    config = folder / "configs" / "inference.json"
    options = ("--dataset_dir", volumes, "--output_dir", tmp_path / "there", "--device", "cpu")
    printed = run_alone(monai_alone(folder), "run", "--config_file", config, *options)
    assert "Traceback" not in printed
    for volume in volumes.iterdir():
        here, there = (nibabel.load(tmp_path / place / "predictions" / volume.name) for place in ("here", "there"))
        assert np.array_equal(here.dataobj, there.dataobj)
        assert np.array_equal(here.affine, there.affine)
        assert set(np.unique(there.dataobj)) == {0, 1}
    assert sorted(path.name for path in folder.iterdir() if path.name != "__pycache__") == [
        "LICENSE",
        "SHA256SUMS",
        "configs",
        "custom_components",
        "docs",
        "models",
    ]


def test_a_package_is_whole_named_and_the_same_each_time(make_trained, tmp_path):
    bundle = make_trained("enet")
    (bundle.path / "output").mkdir()
    (bundle.path / "output" / "last.pt").write_bytes(b"for resuming only")
    first, second = (package(str(bundle.path), tmp_path / folder) for folder in ("first", "second"))
    assert first.name == f"{NAME}_v0.1.0.zip"
    assert first.read_bytes() == second.read_bytes()
    assert list(first.parent.iterdir()) == [first]
    with zipfile.ZipFile(first) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path)
    assert names == sorted(names)
    assert {name.split("/")[0] for name in names} == {NAME}
    models = [name for name in names if name.endswith((".pt", ".ts")) or "/models/" in name]
    assert models == [f"{NAME}/models/model.pt", f"{NAME}/models/provenance.json"]
    assert not [name for name in names if "/output/" in name or "/engines/" in name or "__pycache__" in name]
    checked = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=tmp_path / NAME, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    assert len(checked.stdout.splitlines()) == len(names) - 1


def test_the_card_and_configs_of_a_package_speak_of_its_own_folder(make_trained, unpack, capsys):
    folder = unpack(make_trained("enet"))
    assert "no figures in the model card" in capsys.readouterr().out
    card = (folder / "docs" / "README.md").read_text()
    assert "--config_file configs/inference.json" in card
    assert "32x32 pixels" in card
    assert "- trained on 6 cases (BMC 2, HK 2, UCL 2)" in card
    texts = [path.read_text() for path in [folder / "docs" / "README.md", *folder.glob("configs/*")]]
    assert not [text for text in texts if "bundles/" in text]
    assert f"'{NAME}'" in json.loads((folder / "configs" / "train.json").read_text())["bundle_root"]


def test_the_figures_in_a_package_are_those_of_its_weights(make_trained, unpack, workflow, capsys):
    bundle = make_trained("enet")
    workflow(bundle.path, "evaluate").run()
    capsys.readouterr()
    assert "| **all** | 3 | " in (unpack(bundle) / "docs" / "README.md").read_text()
    assert capsys.readouterr().out == ""
    change(bundle.path / "output" / "evaluation.json", weights_sha256="0" * 64)
    assert "| **all** |" not in (unpack(bundle) / "docs" / "README.md").read_text()
    assert "note: no figures in the model card" in capsys.readouterr().out


def test_no_name_of_a_case_patient_or_folder_leaves(make_trained, unpack, workflow, dataset_dir, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", ["run", "--dataset_dir", str(tmp_path / "Mueller^Hans")])
    bundle = make_trained("enet")
    provenance = json.loads(bundle.provenance_file.read_text())
    cases = [case for part in provenance["cases"].values() for case in part]
    for number, case in enumerate(cases):
        case.update(patient=f"MRN-4711-{number}", birth_date="19480301")
    change(bundle.provenance_file, cases=provenance["cases"], host="ward7.hospital.example")
    workflow(bundle.path, "evaluate").run()
    export(bundle)
    (bundle.path / "configs" / "train_ward7.json").write_text("{}")
    folder = unpack(bundle)
    split = json.loads((dataset_dir / "splits" / "all.json").read_text())
    secrets = [
        "Mueller",
        "MRN-4711",
        "19480301",
        "ward7",
        str(tmp_path),
        str(dataset_dir),
        str(Path(__file__).parents[2]),
    ]
    secrets += [case["case"] for part in ("training", "validation", "test") for case in split[part]]
    files = [path for path in folder.rglob("*") if path.is_file()]
    everything = b"\n".join([str(files).replace(str(folder), "").encode(), *map(content, files)])
    assert provenance["weights_sha256"].encode() in everything
    assert [secret for secret in secrets if secret.encode() in everything] == []


def test_a_packaged_teacher_teaches_and_still_tells_a_leak(make_trained, unpack, preprocessing, dataset_dir):
    folder = unpack(make_trained("espnet"))
    training, test = (
        load_datalist(dataset_dir / "splits" / "all.json", part, dataset_dir) for part in ("training", "test")
    )
    teacher = load_teacher(str(folder), preprocessing=preprocessing, held_out=test)
    assert (teacher.name, teacher.taps.keys) == ("prostate_mri_espnet", ("stride2", "stride8"))
    with pytest.raises(
        InputError,
        match=r"\A\S+/provenance\.json: 1 of the student's test cases were in this teacher's training \(same voxel: ",
    ):
        load_teacher(str(folder), preprocessing=preprocessing, held_out=[*test, training[0]])


def export(bundle):
    config = str(bundle.path / "configs" / "inference.json")
    ckpt_export("network_def", bundle_root=str(bundle.path), config_file=config)


def content(path):
    """The bytes of a file; the content of a TorchScript is unpacked."""
    if path.suffix != ".ts":
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        return b"\n".join(archive.read(name) for name in archive.namelist())


def test_the_torchscript_of_a_bundle_goes_along_if_it_has_its_weights(make_trained, unpack):
    bundle = make_trained("enet")
    export(bundle)
    script = unpack(bundle) / "models" / "model.ts"
    image = torch.rand(1, 1, 32, 32)
    network = bundle.build_network().eval()
    network.load_state_dict(torch.load(bundle.model_file, weights_only=True))
    torch.testing.assert_close(torch.jit.load(script)(image), network(image))

    (name, *_), weights = network.state_dict(), torch.load(bundle.model_file, weights_only=True)
    torch.save({**weights, name: weights[name] + 1}, bundle.model_file)
    change(bundle.provenance_file, weights_sha256=file_sha256(bundle.model_file))
    with pytest.raises(
        InputError, match=r"\A.*model.ts: exported from other weights than model.pt; export it again.*\Z"
    ):
        unpack(bundle)


def test_what_cannot_be_packed_is_refused_in_one_line(make_trained, copy_bundles, tmp_path):
    with pytest.raises(
        InputError, match=r"\A.*distillation: a distillation has no weights of its own; name its student's .*\Z"
    ):
        package("distillation", tmp_path / "dist")
    with pytest.raises(InputError, match=r"\A.*model.pt: no trained weights; train the bundle first\Z"):
        package(str(copy_bundles("espnet") / "espnet"), tmp_path / "dist")
    bundle = make_trained("enet")
    change(bundle.path / "configs" / "inference.json", image_size=64)
    with pytest.raises(
        InputError, match=r"\A.*inference.json: its preprocessing is not the one that .* trained with; .*\Z"
    ):
        package(str(bundle.path), tmp_path / "dist")
    change(bundle.provenance_file, weights_sha256="0" * 64)
    with pytest.raises(InputError, match=r"\A.*model.pt: not the weights that provenance.json names .*\Z"):
        package(str(bundle.path), tmp_path / "dist")
    assert not (tmp_path / "dist").exists()


def imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


def test_all_that_a_package_imports_is_in_it_or_declared(make_trained, unpack):
    folder = unpack(make_trained("enet"))
    modules = {name for file in folder.rglob("*.py") for name in imported(file)}
    own = {name.replace(".", "/") for name in modules if name.startswith("custom_components")}
    assert "custom_components/losses/segmentation" in own
    terms = {name.rpartition(".")[0].replace(".", "/") for name in TERMS.values()}
    assert all((folder / f"{name}.py").is_file() for name in terms)
    assert [
        name for name in own if not any((folder / f"{name}{end}").is_file() for end in (".py", "/__init__.py"))
    ] == []
    # Only --on slurm needs submitit and yaml; a package that runs nothing on a cluster works without them.
    own_or_standard = {"custom_components", "submitit", "yaml", *sys.stdlib_module_names}
    others = {name.split(".")[0] for name in modules} - own_or_standard
    assert {"torch", "monai", "ignite", "nibabel"} <= others
    distributions = metadata.packages_distributions()
    assert [name for name in others if not set(distributions[name]) & set(declared(folder))] == []
