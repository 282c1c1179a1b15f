"""The requests of an annotator's client to the server, over HTTP."""

import email
import shutil
import subprocess
import sys

import nibabel
import numpy as np
import pytest
import SimpleITK

from custom_components.bundle import run_command
from integrations.monai_label.__main__ import main

CORRUPT = "broken"


@pytest.fixture(scope="module")
def server(start, studies, bundles):
    shutil.copy(next(studies.glob("*.nii.gz")), studies / f"{CORRUPT}.nii.gz")
    with (studies / f"{CORRUPT}.nii.gz").open("r+b") as file:
        file.truncate(700)
    return start(studies, "--models", bundles / "enet", bundles / "espnet")


@pytest.fixture(scope="module")
def names(studies):
    return sorted(file.name.removesuffix(".nii.gz") for file in studies.glob("*.nii.gz") if CORRUPT not in file.name)


@pytest.fixture(scope="module")
def masks_of_the_bundle(bundles, studies, names, environment, tmp_path_factory):
    """The masks that ``monai.bundle run`` writes for the same volumes, by name."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "volumes").mkdir()
    for name in names:
        shutil.copy(studies / f"{name}.nii.gz", folder / "volumes")
    options = {"device": "cpu", "dataset_dir": folder / "volumes", "output_dir": folder / "out"}
    command = run_command("inference", bundles / "enet" / "configs" / "inference.json", options)
    subprocess.run(command, check=True, env=environment, cwd=folder)
    return {name: nibabel.load(folder / "out" / "predictions" / f"{name}.nii.gz") for name in names}


def voxels_of(response, folder):
    assert response.status_code == 200, response.text
    (folder / "mask.nii.gz").write_bytes(response.content)
    return nibabel.load(folder / "mask.nii.gz")


def test_info_names_models_trainers_and_strategies(server, names):
    info = server.get("/info/").json()
    assert sorted(info["models"]) == sorted(info["trainers"]) == ["enet", "espnet"]
    assert info["models"]["enet"]["labels"] == {"prostate": 1}
    assert sorted(info["strategies"]) == ["first", "most_uncertain", "random"]
    assert info["datastore"]["total"] == len(names) + 1
    assert "Not a medical device" in info["description"]


def test_a_mask_equals_the_bundle_run(server, names, masks_of_the_bundle, tmp_path):
    for name in names:
        mask = voxels_of(server.post(f"/infer/enet?image={name}&output=image"), tmp_path)
        expected = masks_of_the_bundle[name]
        assert mask.get_data_dtype() == np.uint8
        np.testing.assert_array_equal(np.asarray(mask.dataobj), np.asarray(expected.dataobj))
        np.testing.assert_array_equal(mask.affine, expected.affine)


def test_json_says_volume_and_entropy(server, names, masks_of_the_bundle):
    said = server.post(f"/infer/enet?image={names[0]}&output=json").json()
    voxel_ml = 1.25 * 1.25 * 3.6 / 1000
    assert said["gland_ml"] == round(np.count_nonzero(masks_of_the_bundle[names[0]].dataobj) * voxel_ml, 2)
    assert 0 < said["entropy_bits"] <= 1
    assert said["label_names"] == {"prostate": 1}


def test_multipart_holds_both(server, names, masks_of_the_bundle, tmp_path):
    response = server.post(f"/infer/enet?image={names[0]}")
    head = f"Content-Type: {response.headers['content-type']}\r\n\r\n".encode()
    params, image = email.message_from_bytes(head + response.content).get_payload()
    assert "entropy_bits" in params.get_payload()
    (tmp_path / "part.nii.gz").write_bytes(image.get_payload(decode=True))
    expected = np.asarray(masks_of_the_bundle[names[0]].dataobj)
    np.testing.assert_array_equal(np.asarray(nibabel.load(tmp_path / "part.nii.gz").dataobj), expected)


def test_nrrd_as_3d_slicer_asks_for_it(server, names, masks_of_the_bundle, tmp_path):
    options = {"data": {"params": '{"result_extension": ".nrrd"}'}}
    response = server.post(f"/infer/enet?image={names[0]}&output=image", **options)
    (tmp_path / "mask.nrrd").write_bytes(response.content)
    voxels = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / "mask.nrrd")))
    np.testing.assert_array_equal(voxels.T, np.asarray(masks_of_the_bundle[names[0]].dataobj))


def test_an_uploaded_volume(server, studies, names, masks_of_the_bundle, tmp_path):
    file = {"file": ("mine.nii.gz", (studies / f"{names[1]}.nii.gz").read_bytes())}
    mask = voxels_of(server.post("/infer/enet?output=image", files=file), tmp_path)
    np.testing.assert_array_equal(np.asarray(mask.dataobj), np.asarray(masks_of_the_bundle[names[1]].dataobj))


def test_a_volume_of_a_session(server, studies, names, masks_of_the_bundle, tmp_path):
    file = {"files": ("mine.nii.gz", (studies / f"{names[1]}.nii.gz").read_bytes())}
    session = server.put("/session/", files=file).json()["session_id"]
    mask = voxels_of(server.post(f"/infer/enet?session_id={session}&output=image"), tmp_path)
    np.testing.assert_array_equal(np.asarray(mask.dataobj), np.asarray(masks_of_the_bundle[names[1]].dataobj))


def test_what_is_not_there_is_said(server, names):
    for path, what in (
        ("/infer/enet?image=nobody&output=json", "no image 'nobody' in the studies"),
        (f"/infer/unet?image={names[0]}&output=json", "no model 'unet'; there are enet, espnet"),
        ("/batch/infer/unet", "no model 'unet'; there are enet, espnet"),
        ("/train/unet", "no model 'unet'; there are enet, espnet"),
        ("/activelearning/unheard", "no strategy 'unheard'; there are first, random, most_uncertain"),
    ):
        response = server.post(path)
        assert (response.status_code, response.json()["detail"]) == (404, what)


def test_a_corrupt_volume_is_named_and_the_server_lives_on(server, names):
    response = server.post(f"/infer/enet?image={CORRUPT}&output=json")
    assert response.status_code == 422
    assert f"{CORRUPT}.nii.gz: is not a NIfTI file" in response.json()["detail"]
    assert server.post(f"/infer/enet?image={names[0]}&output=json").status_code == 200


@pytest.mark.parametrize("way", ["query", "params", "tag", "label", "session", "suffix"])
def test_no_way_out_of_the_studies(server, studies, names, tmp_path, way):
    """No request reads or writes a volume outside of the studies' folder."""
    outside = shutil.copy(studies / f"{names[0]}.nii.gz", tmp_path / "outside.nii.gz")
    before = sorted(studies.parent.iterdir())
    if way == "query":
        response = server.post(f"/infer/enet?image={outside}&output=json")
    elif way == "params":
        options = {"data": {"params": f'{{"image": "{outside}"}}'}}
        response = server.post(f"/infer/enet?image={names[0]}&output=json", **options)
    elif way == "tag":
        response = server.save_label(names[0], outside, tag="../../../out")
    elif way == "label":
        response = server.get("/datastore/label?label=../../../outside&tag=../..")
    elif way == "session":
        response = server.post(f"/infer/enet?session_id=../{names[0]}&output=json")
    else:
        options = {"data": {"params": '{"result_extension": "/../../out.nii"}'}}
        response = server.post(f"/infer/enet?image={names[0]}&output=image", **options)
    assert response.status_code in (404, 422)
    assert response.json()["detail"]
    assert sorted(studies.parent.iterdir()) == before


def test_labelling_goes_on_with_the_most_uncertain_until_all_are_done(server, studies, names, dataset_dir):
    said = {name: server.post(f"/infer/enet?image={name}&output=json").json()["entropy_bits"] for name in names}
    by_entropy = sorted(names, key=said.get, reverse=True)
    chosen = server.post("/activelearning/most_uncertain", json={"model": "enet"}).json()
    assert (chosen["id"], chosen["entropy_bits"]) == (by_entropy[0], said[by_entropy[0]])
    assert server.post("/activelearning/first").json()["id"] == min([*names, CORRUPT])
    assert server.post("/activelearning/random").json()["id"] in [*names, CORRUPT]

    phantoms = [name for name in by_entropy if name != "real"]
    for name in phantoms:
        response = server.save_label(name, dataset_dir / "labels" / f"{name}.nii.gz")
        assert response.json() == {"image": name, "label": name}
        assert (studies / "labels" / "final" / f"{name}.nii.gz").is_file()
        assert server.post("/activelearning/most_uncertain").json().get("id") != name
    left = {"real"} & set(names)
    assert server.post("/activelearning/most_uncertain").json().get("id") in (left or {None})


def test_a_label_that_is_no_mask_of_its_image_is_refused(server, studies, names, dataset_dir, tmp_path):
    phantom = next(name for name in names if name != "real")
    mask = nibabel.load(dataset_dir / "labels" / f"{phantom}.nii.gz")
    voxels = np.asarray(mask.dataobj)
    final = studies / "labels" / "final" / f"{phantom}.nii.gz"
    before = final.read_bytes() if final.exists() else None
    for bad, what in (
        (nibabel.Nifti1Image(voxels * 3, mask.affine), "holds the values 0, 3"),
        (nibabel.Nifti1Image(voxels * 0, mask.affine), "is empty"),
        (nibabel.Nifti1Image(voxels[:, :, :3], mask.affine), "does not lie on its image's grid"),
        (nibabel.Nifti1Image(voxels, mask.affine + np.eye(4)[:, [3, 0, 1, 2]]), "does not lie on its image's grid"),
    ):
        nibabel.save(bad, tmp_path / "bad.nii.gz")
        response = server.save_label(phantom, tmp_path / "bad.nii.gz")
        assert response.status_code == 422
        assert response.json()["detail"].startswith(f"label of {phantom}: {what}")
    assert (final.read_bytes() if final.exists() else None) == before


def test_batch_inference_passes_over_a_corrupt_volume(server, studies, names, masks_of_the_bundle):
    server.post("/batch/infer/enet?images=all")
    task = server.finish("/batch/infer")
    assert task["status"] == "DONE", task
    assert any(f"{CORRUPT}.nii.gz: is not a NIfTI file" in line for line in task["details"])
    for name in names:
        mask = nibabel.load(studies / "labels" / "original" / f"{name}.nii.gz")
        np.testing.assert_array_equal(np.asarray(mask.dataobj), np.asarray(masks_of_the_bundle[name].dataobj))


def test_only_this_machine_is_served(server):
    """Another web page in the annotator's browser must not be able to read the studies."""
    response = server.get("/info/", headers={"Origin": "http://elsewhere.example"})
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--studies", "nowhere", "--models", "enet"], "nowhere: no such folder; give the studies' folder"),
        (["--studies", ".", "--models", "unet"], "no bundle 'unet': neither unet nor"),
    ],
)
def test_a_start_that_cannot_be_ends_with_one_line(environment, tmp_path, arguments, message):
    command = [sys.executable, "-m", "integrations.monai_label", "--work-dir", str(tmp_path / "work"), *arguments]
    ended = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"error: {message}")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("port", ["99999", "0", "-1", "http"])
def test_a_number_that_is_no_port_is_wrong_usage(capsys, monkeypatch, port):
    monkeypatch.setattr(sys, "argv", ["monai_label", "--studies", ".", "--models", "enet", f"--port={port}"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.endswith(f"argument --port: '{port}' is no port; give 1 to 65535\n")


def test_the_start_page_has_no_scripts_and_the_viewer_wants_a_pacs(server):
    page = server.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "<td>/infer/{model}</td>" in page.text
    assert "<script" not in page.text
    assert "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'" in page.headers["Content-Security-Policy"]
    assert server.get("/docs").url == f"{server.url}/"
    for path in ("/ohif/", "/ohif/monai-label", "/ohif/training"):
        response = server.get(path)
        message = "OHIF shows the studies of a PACS; start the server with STUDIES=<DICOMweb URL>"
        assert (response.status_code, response.json()["detail"]) == (404, message)
