"""The changes that are made to OHIF's files when they are served; the installed files stay as they are.

The scripts in the folder ``ohif`` replace the viewer's settings, and extend its mode *MONAI Label*.
"""

from collections.abc import Iterator
from pathlib import Path

import monailabel

from custom_components.foundation.errors import InputError

SHIPPED = Path(monailabel.__file__).parent / "endpoints" / "static" / "ohif"
ADDED = Path(__file__).parent / "ohif"
SCRIPTS = ("server.js", "labelmap.js", "mode.js", "app-config.js")

REASON = "message: monaiLabelServer.reason(response)"
# The changes of the files with such names: the text that stands there once, and the text that is served instead.
CHANGES = {
    "index.html": {
        # The list of icons of an installed app, with addresses that do not exist.
        '<link rel="manifest" href="/ohif/manifest.json"/>': "",
        '<link rel="preconnect" href="https://fonts.gstatic.com" crossorigin/>': "",
        '<link href="https://fonts.googleapis.com/css?family=Inter:100,300,400,500,700&display=swap" rel="stylesheet" '
        'rel="preload" as="style"/>': "",
        '<script rel="preload" as="script" src="/ohif/app-config.js"></script>': "".join(
            f'<script src="/ohif/{name}"></script>' for name in SCRIPTS
        ),
    },
    "app.bundle.css": {
        "@import url(https://fonts.googleapis.com/css2?family=Inter:wght@100..900&display=swap);": "",
        "@import url(https://fonts.googleapis.com/css?family=Inter:100,300,400,500,700&display=swap);": "",
    },
    # The panel. Its percentages were white on white.
    "3933.css": {'@import url("w3.css");*/': "*/\n.w3-container { color: black; }"},
    "3933.bundle.*.js": {
        # The choice of a strategy had no effect.
        "onChange: this.onChangeStrategy,": "onChange: event => this.setState({ strategy: event.target.value }),",
        # The panel did not say why a request failed.
        "message: 'Failed to Run Segmentation'": REASON,
        "message: 'Failed to Run Class Based Inference'": REASON,
        "message: 'Failed to Fetch Next Sample'": REASON,
        "message: 'Failed to Connect to MONAI Label'": REASON,
        "message: 'Failed to ' + (training ? 'STOP' : 'RUN') + ' training'": REASON,
        # The panel asked once whether a training runs, with a request that answers 404 if none does.
        "const training = await this.props.client().is_train_running();\n    this.setState({\n"
        "      training: training\n    });": "monaiLabelServer.watchTraining(training => this.setState({ training }));",
        "this.setState({\n          training: !training\n        });": "monaiLabelServer.watchTraining(training => "
        "this.setState({ training }));",
        # If no image is left, the panel offered to open a study without a name.
        "} else {\n        this.uiModelService.show({\n          content: NextSampleForm,": "} else if "
        "(!response.data.id) {\n        annotatingNotify('success', 'Every image has a label.');\n      } else {\n"
        "        this.uiModelService.show({\n          content: NextSampleForm,",
        # The panel wrote a mask into a labelmap of any other series.
        "const data = new Uint8Array(ret.image);": "const data = new Uint8Array(ret.image);\n"
        "      if (!labelmap.fits(ret.header, "
        "this.props.servicesManager.services.segmentationService.getLabelmapVolume('1'))) return;",
    },
}


def changed_files() -> Iterator[tuple[str, str]]:
    """The name and the text of each file that is changed or added.

    Raises:
        InputError: if MONAI Label has another version of OHIF, in which a text of :data:`CHANGES` is not there once.
    """
    for pattern, changes in CHANGES.items():
        file = next(SHIPPED.glob(pattern), None)
        text = file.read_text() if file else ""
        for old, new in changes.items():
            if text.count(old) != 1:
                raise InputError(
                    f"{SHIPPED / pattern}: not the OHIF of MONAI Label 0.8.5; install the pinned version again"
                )
            text = text.replace(old, new)
        yield file.name, text
    for name in SCRIPTS:
        yield name, (ADDED / name).read_text()
