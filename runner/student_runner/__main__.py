"""``segment student.onnx IN OUT`` segments the prostate in a NIfTI volume, in a folder of volumes, or in a DICOM study.

If IN is a NIfTI volume, the mask is written to the file OUT if OUT ends in .nii or .nii.gz, and otherwise into the
folder OUT. If IN is a folder with NIfTI volumes, their masks are written into the folder OUT. If IN is a folder tree
with one DICOM study, SEG, report and picture are written into the folder OUT. Research use only, not a medical device.

The exit code is 0 if all is done, 1 after an error (one line on stderr says why), and 2 if the command line is wrong.
"""

import argparse
import sys
from pathlib import Path

from custom_components.foundation.errors import InputError, line_for
from custom_components.foundation.nifti import is_nifti_name
from custom_components.foundation.terminal import show_any_text


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code. A fault of the input or the disk gives one line, not a traceback."""
    show_any_text()
    options = _parser().parse_args(arguments)
    try:
        _run(options)
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
    except Exception as error:
        line = line_for(error)
        if line is None:
            raise
        print(f"error: {line}", file=sys.stderr)
    else:
        return 0
    return 1


def _run(options: argparse.Namespace) -> None:
    source, out = options.source, options.out
    if not source.exists():
        raise InputError("no such file or folder", source, "check the path")
    # This opens the student before any volume is read. Each module is imported only when it is needed.
    from student_runner.student import Student

    student = Student(options.student)
    has_volumes = not source.is_dir() or any(is_nifti_name(path) for path in source.iterdir())
    for_studies = [f"--{name}" for name in ("series", "tie", "psa") if getattr(options, name) is not None]
    if has_volumes and for_studies:
        raise InputError("is or holds a NIfTI volume", source, f"{for_studies[0]} is for a DICOM study; leave it out")
    if not source.is_dir():
        if not is_nifti_name(source):
            raise InputError("is no NIfTI (*.nii, *.nii.gz)", source, "give a NIfTI, or the folder of a DICOM study")
        from student_runner.niftis import segment_file

        segment_file(student, source, out)
    elif has_volumes:
        from student_runner.niftis import segment_folder

        segment_folder(student, source, out)
    elif not any(path.is_file() for path in source.rglob("*")):
        raise InputError("holds neither a NIfTI volume nor a DICOM image", source, "check the path")
    else:
        from student_runner.studies import segment_study

        segment_study(student, source, out, options.series, options.tie, options.psa)


def _parser() -> argparse.ArgumentParser:
    usage, _, rest = __doc__.partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="segment", description=f"{usage}\n\n{rest}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("student", type=Path, metavar="student.onnx", help="the student, written by 'make export'")
    parser.add_argument(
        "source", type=Path, metavar="IN", help="a NIfTI volume, a folder of volumes, or the folder of a DICOM study"
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="the file of the mask, or the folder of the results")
    study = parser.add_argument_group("DICOM studies")
    study.add_argument("--series", metavar="REGEX", help="use only series whose description or UID fits")
    study.add_argument("--tie", metavar="finest|last", help="which series to take if several fit")
    study.add_argument("--psa", metavar="NG_PER_ML", help="serum PSA; the report then holds it and the PSA density")
    return parser


if __name__ == "__main__":
    sys.exit(main())
