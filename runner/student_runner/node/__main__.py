"""``segment-node node.yaml`` receives studies by DICOM, segments the prostate and stores the results in a PACS.

docs/how-to/node.md describes the settings. The node works until it gets SIGTERM or SIGINT. Nothing is lost when it is
killed: started again, it goes on with the studies in its folder. Research use only, not a medical device.

The exit code is 0 after SIGTERM or SIGINT, 1 after an error (one line on stderr says why), and 2 if the command line or
node.yaml is wrong.
"""

import argparse
import logging
import os
import signal
import sys
import threading
import time
import traceback
import warnings
from pathlib import Path

from custom_components.foundation.errors import InputError, line_for
from custom_components.foundation.terminal import show_any_text

try:
    import pydicom

    from custom_components.foundation.locks import locked
    from data_prep.dicom import SeriesChoice
    from student_runner.node.config import NodeSettings, read_config
    from student_runner.node.metrics import Figures, serve_figures
    from student_runner.node.names import Names
    from student_runner.node.queue import Queue
    from student_runner.node.receiver import Receiver
    from student_runner.node.sender import Sender
    from student_runner.node.worker import Worker
except ModuleNotFoundError as missing:
    package = (missing.name or "").partition(".")[0]
    sys.exit(f"error: the node needs the package {package}; install it with the runner: pip install './runner[node]'")

log = logging.getLogger("segment-node")

TICK_S = 0.2
LONGEST_STOP_S = 10
# The name of the threads without which the node cannot work.
OWN = "node"


def main(arguments: list[str] | None = None) -> int:
    """Run the node and return its exit code."""
    show_any_text()
    usage, _, rest = __doc__.partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="segment-node", description=f"{usage}\n\n{rest}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", type=Path, metavar="node.yaml", help="the settings of the node")
    options = parser.parse_args(arguments)
    _log_one_line_each()
    _silence_libraries()
    try:
        config = read_config(options.config)
        SeriesChoice(config.study.series, config.study.tie, ("study.series", "study.tie"))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    try:
        config.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(config.state / "lock", f"{config.state}: another node works in this folder; give another state"):
            _run(config)
    except Exception as error:
        line = line_for(error)
        if line is None:
            raise
        print(f"error: {line}", file=sys.stderr)
        return 1
    return 0


def _run(config: NodeSettings) -> None:
    names = Names(config.state / "key")
    queue = Queue(config)
    receiver = Receiver(config, queue, names)
    worker = Worker(config, queue, config.state / "key")
    sender = Sender(config, queue)
    worker.check()

    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    threading.excepthook = _on_thread_error
    receiver.start()
    try:
        serve_figures(Figures(queue, receiver, worker, sender), config.metrics.port)
        works = [threading.Thread(target=one.run, args=(TICK_S,), name=OWN, daemon=True) for one in (worker, sender)]
        for work in works:
            work.start()
        log.info("node=ready")
        while not stopped.wait(TICK_S):
            queue.settle(receiver.open_studies)
            queue.prune()
    finally:
        receiver.stop()
        worker.stop()
        sender.stop()
    for work in works:
        work.join(LONGEST_STOP_S)
    log.info("node=stopped")


def _on_thread_error(error: threading.ExceptHookArgs) -> None:
    """Log an error of a thread without its message, which may hold values of a study.

    An error in the node's own work that nobody foresaw ends the node: the system starts it again, and the queue on disk
    goes on. An error of one association ends the association only.
    """
    places = ", ".join(f"{Path(one.filename).name}:{one.lineno}" for one in traceback.extract_tb(error.exc_traceback))
    is_own = error.thread is not None and error.thread.name == OWN
    log.error("%s=failed detail='%s at %s'", "node" if is_own else "association", error.exc_type.__name__, places)
    if is_own:
        os._exit(1)


def _log_one_line_each() -> None:
    """Write the log to stdout, with the time in UTC."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(asctime)sZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S"))
    handler.formatter.converter = time.gmtime
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False


def _silence_libraries() -> None:
    """Stop logs and warnings of libraries: they may name patients, and hospital files break many small rules.

    This holds for all threads, while ``data_prep.dicom.headers.quietly`` is made for programs with one thread.
    """
    for library in ("pynetdicom", "pydicom", "dicomweb_client", "urllib3"):
        logging.getLogger(library).setLevel(logging.CRITICAL + 1)
    warnings.simplefilter("ignore")
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE


if __name__ == "__main__":
    sys.exit(main())
