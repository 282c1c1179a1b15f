"""Segment a volume with the page of ``make web`` in a headless Chromium, and print what it took.

    python -m benchmarks.browser <folder of the page> <volume>

It prints one line of JSON. ``start`` is the time until the page has loaded the student, ``seconds`` the time until the
mask is drawn, both from the start of the browser; ``computing`` is the time of the processor, and ``peak_mb`` the
memory of all processes of the browser.
"""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.chromium import Chromium

READY = "document.querySelector('#open-file')?.disabled === false"
DONE = "!document.querySelector('#result').hidden && document.querySelector('#volume').value !== ''"
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def measure(page: Path, volume: Path) -> dict[str, float]:
    """Open the page and the volume in a new browser."""
    server = subprocess.Popen([sys.executable, page / "serve.py", "--port", "0"], stdout=subprocess.PIPE, text=True)
    address = re.search(r"http://\S+", server.stdout.readline())[0]
    begin = time.perf_counter()
    try:
        with Chromium() as browser:
            browser.open(address)
            browser.wait(READY)
            start = time.perf_counter() - begin
            browser.give_files("#file", [volume])
            peak_mb = 0.0
            while not browser.run(DONE):
                peak_mb = max(peak_mb, browser.memory_mb())
                time.sleep(0.1)
            seconds = time.perf_counter() - begin
            peak_mb = max(peak_mb, browser.memory_mb())
            computing = browser.ticks() / TICKS_PER_SECOND
    finally:
        server.kill()
        server.wait()
    return {"start": start, "seconds": seconds, "computing": computing, "peak_mb": peak_mb}


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]), Path(sys.argv[2]))))
