"""OHIF in a headless Chromium, as an annotator sees it."""

import json
import time
from pathlib import Path

import numpy as np

from benchmarks.chromium import WEBGL, Chromium

LONGEST_WAIT_S = 300
LABELMAP = "services.segmentationService.getLabelmapVolume('1')"


class Ohif:
    """The viewer of a server.

    Args:
        address: the server's address, without a slash at the end.
        pictures: folder of the screenshots.
    """

    def __init__(self, address: str, pictures: Path) -> None:
        self.address = address
        self.browser = Chromium(WEBGL)
        self._pictures = pictures

    def open_list(self) -> None:
        """Open the list of studies."""
        self.browser.open(f"{self.address}/ohif/")
        self.wait("document.querySelectorAll('tbody tr').length > 1")
        self.click("button", "Confirm and Hide")  # the note on investigational use

    def search(self, patient: str) -> None:
        """Search for a PatientID, and wait until the list holds one study."""
        self.browser.run("document.querySelectorAll('input')[1].focus()")
        self.browser.send("Input.insertText", text=patient)
        self.wait("document.body.innerText.replace(/\\s+/g, ' ').includes('1 Studies')")

    def open_found(self) -> None:
        """Open the only study of the list in the mode MONAI Label."""
        self.browser.run("document.querySelectorAll('tbody tr')[1].click()")
        self.wait("[...document.querySelectorAll('a')].some(a => a.innerText.trim() === 'MONAI Label')")
        self.click("a", "MONAI Label")
        self.wait_for_study()

    def open_study(self, study: str) -> None:
        """Open a study by its UID."""
        self.browser.open("about:blank")
        self.browser.open(f"{self.address}/ohif/monai-label?StudyInstanceUIDs={study}")
        self.wait_for_study()

    def wait_for_study(self) -> None:
        self.wait(
            "!!document.querySelector('#monailabelServerURL') && cornerstone.cache.getVolumes().some(v => "
            "v.loadStatus?.loaded) && document.querySelectorAll('canvas').length >= 3"
        )

    def series_shown(self) -> str:
        """The series in the active viewport."""
        return self.browser.run(
            "(() => { const { viewports, activeViewportId } = services.viewportGridService.getState();"
            "const [uid] = viewports.get(activeViewportId).displaySetInstanceUIDs;"
            "return services.displaySetService.getDisplaySetByUID(uid).SeriesInstanceUID; })()"
        )

    def show_series(self, description: str) -> None:
        """Put a series into the viewports, by its picture in the list."""
        before = self.series_shown()
        self.browser.run(
            "[...document.querySelectorAll('[data-cy=study-browser-thumbnail]')].find(one => one.innerText.includes("
            f"{json.dumps(description)})).dispatchEvent(new MouseEvent('dblclick', {{ bubbles: true }}))"
        )
        end = time.monotonic() + LONGEST_WAIT_S
        while self.series_shown() == before:
            assert time.monotonic() < end
            time.sleep(0.2)
        self.wait_for_study()

    def connect(self) -> None:
        """Press the button beside the server's address."""
        self.forget_notes()
        self.browser.run("document.querySelector('.monaiLabelPanel button').click()")
        assert self.note() == "success: Connected to MONAI Label - Successful"
        self.wait("!!document.querySelector('.modelSelector')")
        self.wait(f"!!services.segmentationService.getSegmentation('1') && !!{LABELMAP}")
        if not self.browser.run("document.querySelector('#tab-1').checked"):
            self.browser.run("document.querySelector('#tab-1').click()")  # Active Learning

    def segment(self) -> str:
        """Press Run under Auto-Segmentation; return the viewer's note about its end."""
        self.forget_notes()
        self.browser.run("document.querySelector('.modelSelector button').click()")
        return self.note()

    def labelmap(self) -> np.ndarray:
        """The voxels of the labelmap (columns, rows, slices)."""
        size = json.loads(self.browser.run(f"JSON.stringify({LABELMAP}.dimensions)"))
        digits = self.browser.run(f"Array.from({LABELMAP}.voxelManager.getCompleteScalarDataArray()).join('')")
        return np.array(list(digits), np.uint8).reshape(size, order="F")

    def labelmap_affine(self) -> np.ndarray:
        """The RAS affine of the labelmap."""
        script = f"JSON.stringify([...{LABELMAP}.direction, ...{LABELMAP}.spacing, ...{LABELMAP}.origin])"
        values = np.array(json.loads(self.browser.run(script)))
        lps = np.eye(4)
        lps[:3, :3] = values[:9].reshape(3, 3).T * values[9:12]
        lps[:3, 3] = values[12:]
        return np.diag([-1, -1, 1, 1]) @ lps

    def tool(self, name: str) -> None:
        """Press a button of the tool bar."""
        self.browser.run(f"document.querySelector('[data-cy={name}]').click()")

    def stroke(self) -> np.ndarray:
        """Move the pressed mouse over the middle of the first viewport; return the labelmap after it."""
        script = "JSON.stringify(document.querySelector('.cornerstone-canvas').getBoundingClientRect())"
        box = json.loads(self.browser.run(script))
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        before = self.labelmap()
        self.browser.drag([(x - 40, y - 20), (x - 20, y - 10), (x, y), (x + 20, y + 10)])
        # The viewer draws when it has time, so wait until the stroke is there and stays as it is.
        end = time.monotonic() + LONGEST_WAIT_S
        seen = before
        while np.array_equal(after := self.labelmap(), before) or not np.array_equal(after, seen):
            assert time.monotonic() < end, "the stroke has changed nothing"
            seen = after
            time.sleep(1)
        return after

    def click(self, tag: str, text: str) -> None:
        """Click the first element with this text, if there is one."""
        self.browser.run(
            f"[...document.querySelectorAll({json.dumps(tag)})]"
            f".find(one => one.innerText.trim() === {json.dumps(text)})?.click()"
        )

    def choose(self, selector: str, value: str) -> None:
        """Choose in a list, or type into a field; React notices only a value that the browser's own setter sets."""
        self.browser.run(
            f"(() => {{ const field = document.querySelector({json.dumps(selector)});"
            "Object.getOwnPropertyDescriptor(Object.getPrototypeOf(field), 'value').set.call(field,"
            f"{json.dumps(value)}); field.dispatchEvent(new Event(field.tagName === 'SELECT' ? 'change' : 'input',"
            "{ bubbles: true })); })()"
        )

    def bars(self) -> dict[str, str]:
        """The percentages of the panel by their names."""
        rows = json.loads(
            self.browser.run(
                "JSON.stringify([...document.querySelectorAll('.monaiLabelPanel .optionsTable tr')]"
                ".map(row => row.innerText.split('\\t')))"
            )
        )
        return {row[0].strip(": "): row[1].strip() for row in rows if len(row) == 2 and "%" in row[1]}

    def next_sample(self, strategy: str) -> str:
        """Press Next Sample; return the offered series."""
        self.choose(".monaiLabelPanel select.actionInput", strategy)
        self.click("button", "Next Sample")
        self.wait("!!document.querySelector('.nextSampleForm td')")
        return self.browser.run("document.querySelector('.nextSampleForm tr:last-child td:last-child').innerText")

    def forget_notes(self) -> None:
        """Forget the viewer's notes so far, and keep the coming ones. The services that show notes share a class."""
        self.browser.run("""(() => {
            const service = Object.getPrototypeOf(services.uiNotificationService);
            window.shown ??= service.show;
            window.notes = [];
            service.show = function (note) {
                window.notes.push(`${note.type}: ${note.message}`);
                return window.shown.call(this, note);
            };
        })()""")

    def note(self) -> str:
        """The next note of a success or an error."""
        self.wait("window.notes.some(note => !note.startsWith('info'))")
        return self.browser.run("window.notes.find(note => !note.startsWith('info'))")

    def wait(self, script: str) -> None:
        self.browser.wait(f"!!document.body && ({script})", LONGEST_WAIT_S)

    def picture(self, name: str) -> None:
        self.browser.screenshot(self._pictures / f"{name}.png")
