"""Files of the node survive a power cut."""

import json
import os

from student_runner.node import folders
from student_runner.node.folders import write_safely


def test_the_content_is_on_the_disk_before_it_replaces_the_former_one(tmp_path, monkeypatch):
    calls = []
    sync, replace = os.fsync, os.replace

    def on_sync(handle):
        calls.append(("sync", os.readlink(f"/proc/self/fd/{handle}"), os.fstat(handle).st_size))
        sync(handle)

    def on_replace(source, target):
        calls.append(("replace", str(source), str(target)))
        replace(source, target)

    monkeypatch.setattr(folders.os, "fsync", on_sync)
    monkeypatch.setattr(folders.os, "replace", on_replace)
    file = tmp_path / "record.json"
    write_safely(file, {"images": ["a"]})
    assert json.loads(file.read_text()) == {"images": ["a"]}
    (first, partial, size), moved, (last, folder, _) = calls
    assert (first, size) == ("sync", file.stat().st_size)
    assert moved == ("replace", partial, str(file))
    assert (last, folder) == ("sync", str(tmp_path))
