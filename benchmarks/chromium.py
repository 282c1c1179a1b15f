"""A headless Chromium, driven by the Chrome DevTools Protocol through two pipes. So it needs no other package."""

import base64
import fcntl
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    *("--headless=new", "--no-sandbox", "--remote-debugging-pipe", "--no-first-run", "--mute-audio"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions"),
    *("--window-size=1400,900", "--force-device-scale-factor=1", "--disable-dev-shm-usage"),
)
# WebGL 2 without a GPU.
WEBGL = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist")
NO_WEBGL = ("--disable-gpu", "--disable-3d-apis")


class Chromium:
    """One page in a browser of its own.

    Args:
        flags: further flags of the program, such as ``WEBGL``.

    Attributes:
        requests: the addresses that the page and its workers have asked for.
        complaints: the errors and warnings of the page.
        questions: the questions that the page has asked in a dialog.
        accepts: whether the person says yes to them.
    """

    def __init__(self, flags: Sequence[str] = WEBGL) -> None:
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.questions: list[str] = []
        self.accepts = True
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.downloads = Path(self._profile.name, "downloads")
        self.downloads.mkdir()
        self._process = self._start(flags)
        self._next, self._answers = 0, {}
        target = self._send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._watch(self._session)
        self.send("Page.enable")
        self._send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(self.downloads))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._commands.close()
        self._events.close()
        self._profile.cleanup()

    def open(self, url: str) -> None:
        """Open a page."""
        self.send("Page.navigate", url=url)

    def run(self, script: str) -> Any:
        """The value of an expression of JavaScript, awaited if it is a promise."""
        done = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True)
        if "exceptionDetails" in done:
            raise RuntimeError(done["exceptionDetails"].get("exception", {}).get("description", str(done)))
        return done["result"].get("value")

    def wait(self, script: str, seconds: float = 60) -> Any:
        """Wait until an expression is true, and return its value."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if value := self.run(script):
                return value
            time.sleep(0.05)
        raise TimeoutError(f"{script} is still false after {seconds} s; the page says: {self.complaints}")

    def give_files(self, selector: str, paths: Sequence[Path]) -> None:
        """Choose files, or a folder, in an input of the page."""
        root = self.send("DOM.getDocument")["root"]["nodeId"]
        node = self.send("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.send("DOM.setFileInputFiles", nodeId=node, files=[str(path) for path in paths])

    def drop(self, paths: Sequence[Path], x: int = 800, y: int = 450) -> None:
        """Drop files or folders onto the page."""
        data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.send("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)

    def drag(self, places: Sequence[tuple[float, float]]) -> None:
        """Press the left button at the first place, move over the others, and release it."""
        for kind, (x, y) in zip(
            ("mousePressed", *["mouseMoved"] * (len(places) - 1), "mouseReleased"), (*places, places[-1]), strict=True
        ):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)
            time.sleep(0.05)

    def screenshot(self, file: Path) -> None:
        """Write a picture of the page, PNG."""
        file.write_bytes(base64.b64decode(self.send("Page.captureScreenshot")["data"]))

    def downloaded(self, name: str, seconds: float = 30) -> Path:
        """The path of a finished download."""
        end = time.monotonic() + seconds
        while not (self.downloads / name).exists():
            if time.monotonic() > end:
                raise TimeoutError(f"no download {name}, but {[path.name for path in self.downloads.iterdir()]}")
            time.sleep(0.05)
        return self.downloads / name

    def memory_mb(self) -> float:
        """The memory of all processes of the browser; a page that several of them share counts once."""
        total = 0
        for folder in self._processes():
            try:
                lines = (folder / "smaps_rollup").read_text().splitlines()
            except OSError:
                continue
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return total * 1024 / 1e6

    def ticks(self) -> int:
        """The time of the processor that the browser has taken so far, in clock ticks."""
        total = 0
        for folder in self._processes():
            values = _stat(folder)
            total += sum(map(int, values[11:15])) if values else 0
        return total

    def _processes(self) -> Iterator[Path]:
        """The folders below /proc of the browser's processes."""
        for folder in Path("/proc").iterdir():
            values = _stat(folder) if folder.name.isdigit() else None
            if values and int(values[2]) == self._process.pid:
                yield folder

    def send(self, method: str, **options: Any) -> dict:
        """Send a command to the page and return its answer."""
        return self._send(method, self._session, **options)

    def _answer(self, dialog: dict) -> None:
        self.questions.append(dialog["message"])
        self._post("Page.handleJavaScriptDialog", self._session, accept=self.accepts)

    def _start(self, flags: Sequence[str]) -> subprocess.Popen:
        read_commands, write_commands = os.pipe()
        read_events, write_events = os.pipe()
        # Chromium reads from 3 and writes to 4. The numbers of these copies cannot be 3 or 4.
        inside = [fcntl.fcntl(one, fcntl.F_DUPFD, 10) for one in (read_commands, write_events)]

        def connect() -> None:
            os.dup2(inside[0], 3)
            os.dup2(inside[1], 4)

        process = subprocess.Popen(
            [PROGRAM, *FLAGS, *flags, f"--user-data-dir={self._profile.name}/profile", "about:blank"],
            preexec_fn=connect,
            pass_fds=(3, 4),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for one in (read_commands, write_events, *inside):
            os.close(one)
        self._commands, self._events = os.fdopen(write_commands, "wb", buffering=0), os.fdopen(read_events, "rb")
        self._rest = b""
        return process

    def _watch(self, session: str) -> None:
        """Report all requests of a page or worker, and of the workers that it starts."""
        for method in ("Runtime.enable", "Network.enable", "Log.enable"):
            self._post(method, session)
        self._post("Target.setAutoAttach", session, autoAttach=True, waitForDebuggerOnStart=True, flatten=True)
        self._post("Runtime.runIfWaitingForDebugger", session)

    def _send(self, method: str, session: str | None = None, **options: Any) -> dict:
        number = self._post(method, session, **options)
        while number not in self._answers:
            self._receive()
        answer = self._answers.pop(number)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def _post(self, method: str, session: str | None, **options: Any) -> int:
        self._next += 1
        message = {"id": self._next, "method": method, "params": options}
        if session:
            message["sessionId"] = session
        self._commands.write(json.dumps(message).encode() + b"\0")
        return self._next

    def _receive(self) -> None:
        while b"\0" not in self._rest:
            part = self._events.read1(1 << 20)
            if not part:
                raise RuntimeError("Chromium has ended")
            self._rest += part
        one, self._rest = self._rest.split(b"\0", 1)
        message = json.loads(one)
        if "id" in message:
            self._answers[message["id"]] = message
            return
        event: Callable[[dict], None] | None = {
            "Target.attachedToTarget": lambda found: self._watch(found["sessionId"]),
            "Network.requestWillBeSent": lambda sent: self.requests.append(sent["request"]["url"][:200]),
            "Log.entryAdded": lambda log: self.complaints.append(log["entry"]["text"]),
            "Runtime.exceptionThrown": lambda thrown: self.complaints.append(
                thrown["exceptionDetails"].get("exception", {}).get("description", "")
            ),
            "Page.javascriptDialogOpening": self._answer,
        }.get(message["method"])
        if event:
            event(message["params"])


def _stat(folder: Path) -> list[str] | None:
    """The values of a process after its name (proc(5)): state, parent, group and so on; None if it has ended."""
    try:
        return (folder / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
