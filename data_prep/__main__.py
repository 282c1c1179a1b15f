"""``python -m data_prep import | split | validate | fingerprint | phantom``."""

import argparse
import sys

from custom_components.errors import InputError
from data_prep import importing, splitting, validating
from data_prep.fingerprint import command as fingerprint
from data_prep.phantom import command as phantom

COMMANDS = {
    "import": importing,
    "split": splitting,
    "validate": validating,
    "fingerprint": fingerprint,
    "phantom": phantom,
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command; a fault of the input is told in one line a case, without a traceback (exit code 2)."""
    parser = argparse.ArgumentParser(prog="python -m data_prep", description="Prepare prostate MRI for training.")
    subparsers = parser.add_subparsers(dest="command", required=True)
    for name, module in COMMANDS.items():
        summary = module.__doc__.splitlines()[0].rstrip(".")
        module.add_arguments(subparsers.add_parser(name, help=summary, description=module.__doc__))
    options = parser.parse_args(arguments)
    try:
        return COMMANDS[options.command].run(options)
    except InputError as error:
        for line in str(error).splitlines():
            print(f"error: {line}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
