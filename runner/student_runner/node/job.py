"""The messages between the node and its segmenting process: the job, the kinds of answers, the outcome's file."""

import json
from dataclasses import asdict, dataclass

OUTCOME = "outcome.json"
SEGMENTED, REFUSED, UNCHANGED = "segmented", "refused", "unchanged"
# The exit code of the process if the disk is full.
NO_ROOM_CODE = 3


@dataclass(frozen=True)
class AnsweringJob:
    """The work of one segmenting process.

    Attributes:
        student: ``student.onnx``.
        images: the folder of the study's images.
        out: a folder that does not exist; the results are written there.
        key: the file of the node's key.
        record: the record of the study's former answer; None if there is none.
        series: regular expression for the series, or None.
        tie: the choice between several series, or None.
        picture: whether the picture is wanted.
        report_refusals: whether a report is wanted if the study cannot be segmented.
        refuse: the reason to refuse the study without a look at it; None to segment it.
        node: the number of the node's process.
    """

    student: str
    images: str
    out: str
    key: str
    record: str | None
    series: str | None
    tie: str | None
    picture: bool
    report_refusals: bool
    refuse: str | None
    node: int

    def as_json(self) -> str:
        """The job as the process reads it."""
        return json.dumps(asdict(self))
