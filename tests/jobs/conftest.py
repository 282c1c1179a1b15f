"""Jobs whose steps are small Python modules."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from custom_components.jobs import Job, Step

MODULE = """
import os, pathlib, sys, time
out, seconds, code = pathlib.Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
names = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "WORD")
print(*(f"{name}={os.environ.get(name)}" for name in names), flush=True)
with out.open("a") as starts:
    starts.write(f"{pathlib.Path.cwd().name} {time.time()}\\n")
try:
    time.sleep(seconds)
except KeyboardInterrupt:
    print("interrupted", flush=True)
    raise
if code:
    print("error: refused", file=sys.stderr)
sys.exit(code)
"""


@pytest.fixture
def job(tmp_path) -> Callable[..., Job]:
    """``job("a", [0, 1.5], codes=[0, 0])``: a job with a step for each number of seconds that it sleeps."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "sleeper.py").write_text(MODULE)
    path = os.pathsep.join([str(tmp_path / "modules"), str(Path(__file__).parents[2])])

    def make(name: str, sleeps: list[float], codes: list[int] | None = None, **needs) -> Job:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        steps = []
        for number, (long, code) in enumerate(zip(sleeps, codes or [0] * len(sleeps), strict=True)):
            words = [sys.executable, "-m", "sleeper", str(folder / "starts"), str(long), str(code)]
            steps.append(Step(f"step{number}", words, folder / f"step{number}.log"))
        return Job(name, folder, steps, environment={"PYTHONPATH": path, "WORD": "two words"}, **needs)

    return make
