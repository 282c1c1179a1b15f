import pytest

from custom_components.jobs import devices

LISTED = "GPU-aa, 0, 12000\nGPU-bb, 1, 300\nGPU-cc, 2, [N/A]\n"


@pytest.fixture
def three_gpus(tmp_path, monkeypatch):
    script = tmp_path / "nvidia-smi"
    script.write_text(f"#!/bin/sh\nprintf '{LISTED}'\n")
    script.chmod(0o755)
    monkeypatch.setattr(devices, "QUERY", (str(script),))


def test_all_gpus_of_the_driver_are_usable_unless_the_user_names_some(three_gpus):
    assert devices.usable_devices({}) == ["GPU-aa", "GPU-bb", "GPU-cc"]
    assert devices.usable_devices({"CUDA_VISIBLE_DEVICES": "1"}) == ["1"]
    assert devices.usable_devices({"CUDA_VISIBLE_DEVICES": "3,1,3"}) == ["3", "1"]
    assert devices.usable_devices({"CUDA_VISIBLE_DEVICES": "MIG-x/1/2,GPU-aa"}) == ["MIG-x/1/2", "GPU-aa"]


@pytest.mark.parametrize("hidden", ["", "-1", " "])
def test_a_user_who_hides_the_gpus_has_none(three_gpus, hidden):
    assert devices.usable_devices({"CUDA_VISIBLE_DEVICES": hidden}) == []


def test_a_failing_driver_is_no_gpu(tmp_path, monkeypatch):
    script = tmp_path / "nvidia-smi"
    script.write_text("#!/bin/sh\necho NVIDIA-SMI has failed, restart the driver, please\nexit 9\n")
    script.chmod(0o755)
    monkeypatch.setattr(devices, "QUERY", (str(script),))
    assert devices.usable_devices({}) == []
    assert devices.memory_in_use() == {}


def test_own_jobs_count_first_and_then_the_memory_that_others_use(three_gpus):
    memory = devices.memory_in_use()
    assert memory == {"GPU-aa": 12000, "0": 12000, "GPU-bb": 300, "1": 300}
    all_three, taken = devices.usable_devices({}), []
    for expected in ("GPU-cc", "GPU-bb", "GPU-aa", "GPU-cc"):
        taken.append(devices.least_loaded(all_three, taken, memory))
        assert taken[-1] == expected
    taken.remove("GPU-bb")  # its job has ended
    assert devices.least_loaded(all_three, taken, memory) == "GPU-bb"
    assert devices.least_loaded(["0", "1"], [], memory) == "1"
