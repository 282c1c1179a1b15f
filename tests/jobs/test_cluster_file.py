import pytest

from custom_components.foundation.errors import InputError
from custom_components.jobs.cluster_file import ClusterSettings, read_cluster_file


def test_every_setting_is_read_in_the_units_of_a_user(tmp_path):
    file = tmp_path / "cluster.yaml"
    file.write_text(
        "partition: gpu\ntime: 36h\nmemory: 1500MB\ncpus: 8\ngpus: 2\n"
        'lines: [module load cuda, "#SBATCH --account=prostate"]\n'
    )
    lines = ("#SBATCH --account=prostate", "module load cuda")  # sbatch wants its own lines first
    assert read_cluster_file(file) == ClusterSettings("gpu", 36 * 60, 1500 / 1024, 8, 2, lines)


@pytest.mark.parametrize("content", ["", "partition:\n"])
def test_what_is_left_out_has_its_default(tmp_path, content):
    file = tmp_path / "cluster.yaml"
    file.write_text(content)
    assert read_cluster_file(file) == read_cluster_file(None) == ClusterSettings(None, 24 * 60, None, 4, 1, ())


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("time: 90", r"time: 90 is none; write for example time: 12h"),
        ("time: 12:00:00", r"time: .* is none; write for example time: 12h"),
        ("time: 0h", r"time: '0h' is none"),
        ("memory: 16", r"memory: 16 is none; write for example memory: 32GB"),
        ("memory: lots", r"memory: 'lots' is none"),
        ("cpus: 0", r"cpus: 0 is none; write for example cpus: 8"),
        ("cpus: true", r"cpus: True is none"),
        ("cpus: [4]", r"cpus: \[4\] is none"),
        ("gpus: -1", r"gpus: -1 is none"),
        ("partition: on", r"partition: True is none"),  # YAML reads on as True
        ("partition: [a]", r"partition: \['a'\] is none"),
        ("lines: module load", r"lines: 'module load' is none; write for example lines: \["),
        ("lines: [1]", r"lines: \[1\] is none"),
        ("gpu: 1", r"gpu is no setting of a cluster; there are partition, time, memory, cpus, gpus, lines"),
        ("- a", r"no list of keys and values; it may have partition, "),
        ("a: [", r"not a YAML file"),
        ("time: \xff", r""),
    ],
)
def test_a_setting_of_another_kind_is_told_with_an_example(tmp_path, content, told):
    file = tmp_path / "cluster.yaml"
    file.write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match=rf"\A{file}: {told}"):
        read_cluster_file(file)


def test_a_missing_file_and_a_folder_are_told(tmp_path):
    with pytest.raises(InputError, match=rf"\A{tmp_path}/none.yaml: no such file; "):
        read_cluster_file(tmp_path / "none.yaml")
    with pytest.raises(InputError, match=rf"\A{tmp_path}: cannot be read \(Is a directory\)"):
        read_cluster_file(tmp_path)
