"""The trainings that clients have started, as MONAI Label keeps them in the server's process."""

import re
from typing import Any

from monailabel.utils.async_tasks.task import AsyncTask

# The line of custom_components.handlers.training_log.
EPOCH = re.compile(r"epoch (\d+)/\d+:")


def latest_trainings() -> dict[str, dict[str, Any]]:
    """The last training of each model since the server's start, as :class:`AsyncTask` describes it."""
    tasks, _ = AsyncTask.status("train", all=True)
    return {task["request"]["model"]: task for task in tasks or []}


def is_going_on(training: dict[str, Any]) -> bool:
    """Whether the training runs, or waits for another one to end."""
    return training["status"] in ("SUBMITTED", "RUNNING")


def finished_epochs(training: dict[str, Any]) -> int:
    """The number of epochs that the training has finished."""
    lines = training["details"].copy() if "details" in training else ()  # another thread adds lines
    return max((int(match[1]) for line in lines for match in EPOCH.finditer(line)), default=0)
