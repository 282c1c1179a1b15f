"""``python -m data_prep import | list | merge | series | split | validate | fingerprint | phantom``.

Exit codes: 0 done; 1 not done, the lines on stderr say why; 2 wrong usage; 3 done, with findings (import, series,
validate).
"""

import argparse
import sys

from custom_components.foundation.errors import OneLineError
from custom_components.foundation.signals import interrupt_on_signals
from data_prep import importing, listing, merging, splitting, validating
from data_prep.dicom import command as series
from data_prep.fingerprint import command as fingerprint
from data_prep.phantom import command as phantom

COMMANDS = {
    "import": importing,
    "list": listing,
    "merge": merging,
    "series": series,
    "split": splitting,
    "validate": validating,
    "fingerprint": fingerprint,
    "phantom": phantom,
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code. A fault of the input or the disk gives one line, not a traceback."""
    parser = argparse.ArgumentParser(prog="python -m data_prep", description="Prepare prostate MRI for training.")
    subparsers = parser.add_subparsers(dest="command", required=True)
    for name, module in COMMANDS.items():
        summary = module.__doc__.splitlines()[0].rstrip(".")
        module.add_arguments(subparsers.add_parser(name, help=summary, description=module.__doc__))
    options = parser.parse_args(arguments)
    try:
        return COMMANDS[options.command].run(options)
    except OneLineError as error:
        for line in str(error).splitlines():
            print(f"error: {line}", file=sys.stderr)
    except OSError as error:
        place = error.filename or getattr(options, "out", options.command)
        print(f"error: {place}: {error.strerror or error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("error: interrupted; the same command again goes on", file=sys.stderr)
    return 1


if __name__ == "__main__":
    interrupt_on_signals()
    sys.exit(main())
