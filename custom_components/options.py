"""The options of a run: their text on the command line and their meaning.

MONAI's command line (Fire) reads every value as Python: the folder ``2024`` becomes a number, ``1e3`` becomes 1000.0,
``None`` is ignored, and the text after a ``#`` is a comment. MONAI's configs then write ``::`` for ``#`` in every text,
and run a text that starts with ``$``. Therefore this module reads names and paths from the command line again, and
converts each option to its kind before the option is used.
"""

import functools
import math
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from monai.bundle.config_parser import ConfigParser
from monai.bundle.reference_resolver import ReferenceResolver

from custom_components.foundation.errors import InputError
from custom_components.option_names import check_names

# The kind of each option, by the last part of the option's id.
TEXT = frozenset(
    [
        "bundle_dir",
        "bundle_root",
        "bundles_dir",
        "cache_dir",
        "ckpt_path",
        "cluster",
        "datalist",
        "dataset_dir",
        "experiment_name",
        "file",
        "folder",
        "load_path",
        "log_dir",
        "models_dir",
        "name_or_path",
        "output_dir",
        "part",
        "path",
        "predictions_dir",
        "pretrained",
        "run_name",
        "shard",
        "student",
        "tracking_uri",
    ]
)
TEXTS = frozenset(["teachers"])
FLAGS = frozenset(
    [
        "adapt_teachers",
        "amp",
        "cache_teachers",
        "compile",
        "generalized",
        "gland_slices_only",
        "keep_probs",
        "online",
        "out_of_fold",
        "per_image",
        "predictions_saw_test_cases",
        "resume",
        "scale_by_t2",
        "unlabeled",
    ]
)
WHOLE_NUMBERS = frozenset(
    [
        "augmentation_views",
        "batch_size",
        "image_size",
        "jobs",
        "max_epochs",
        "num_workers",
        "seed",
        "step_size_down",
        "step_size_up",
        "val_interval",
    ]
)
NUMBERS = frozenset(
    ["augmentation", "base_lr", "ema_decay", "field_of_view", "learning_rate", "max_lr", "unlabeled_share"]
)

WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
# Fire reads a word of this form as an option's name and not as a value.
OPTION = re.compile(r"--|-[a-zA-Z]")
EXPRESSION, REFERENCE = "$", "@"


def typed_options(arguments: Sequence[str]) -> dict[str, str]:
    """The texts of a command line's options by id, split as Fire splits them.

    If an option is repeated, the last counts.
    """
    typed: dict[str, str] = {}
    for argument, following in pairwise([*arguments, "--"]):
        if not OPTION.match(argument):
            continue
        key, equals, value = argument.lstrip("-").partition("=")
        option = ReferenceResolver.normalize_id(key.replace("-", "_"))
        typed.pop(option, None)
        if equals:
            typed[option] = value
        elif not OPTION.match(following):
            typed[option] = following
    return typed


def as_meant(option: str, value: Any, typed: Mapping[str, str]) -> Any:
    """Convert the value of an option to its kind; a part of a config that is not an option does not change.

    Args:
        option: the option's id, such as ``train::trainer::amp``.
        value: MONAI's value of the option.
        typed: the result of :func:`typed_options`.

    Raises:
        InputError: if the value is not of the option's kind, or this machine has no such device.
    """
    name, words = option.rpartition("::")[2], typed.get(option)
    if name in TEXT:
        return _text(option, value, words)
    if name in TEXTS:
        return value if words is None or _holds_a_table(value) else _texts(option, value, words)
    if words == "None" or value is None:
        return None
    if name == "device":
        return _device(option, value)
    if name in FLAGS:
        return flag(option, value)
    if name in WHOLE_NUMBERS | NUMBERS:
        return _number(option, value, whole=name in WHOLE_NUMBERS)
    if isinstance(value, str):
        as_typed = words is not None and value == ReferenceResolver.normalize_id(words)
        return {"true": True, "false": False}.get(value.lower(), words if as_typed else value)
    return value


def flag(option: str, value: object) -> bool:
    """The meaning of ``--option value``: true for True, true, yes or 1, and false for False, false, no or 0.

    Raises:
        InputError: if the value is any other text.
    """
    try:
        return WORDS[str(value).lower()]
    except KeyError:
        raise InputError(f"--{option} {value}: neither True nor False") from None


def _text(option: str, value: Any, words: str | None) -> Any:
    if words is None:
        if value is True:
            raise InputError(f"--{option}: has no value; a value that starts with - needs a =, --{option}=-name")
        if isinstance(value, bool | int | float):
            raise InputError(f"--{option} {value}: not a name or a path; in a file, write it in quotes")
        return value
    # The option accepts null because null is its default.
    return None if words == "None" and value is None else words


def _holds_a_table(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list | tuple) and any(isinstance(one, dict) for one in value))


def _texts(option: str, value: Any, words: str) -> list[str]:
    """The texts in ``[a, 'b']`` or ``(a,b)``, or in ``a,b`` if Fire reads it as a list; everything else is one text."""
    listed = re.fullmatch(r"\s*[\[(](.*?),?\s*[\])]\s*", words, re.DOTALL)
    if not listed and not isinstance(value, list | tuple):
        return [words]
    lexer = shlex.shlex(listed[1] if listed else words, posix=True)
    lexer.commenters, lexer.whitespace, lexer.whitespace_split = "", ",", True
    try:
        return [text.strip() for text in lexer]
    except ValueError:
        raise InputError(f"--{option} {words}: a quote is open; put each name in quotes: \"['a','b']\"") from None


def _device(option: str, value: Any) -> Any:
    try:
        device = torch.device(value)
    except (RuntimeError, TypeError):
        raise InputError(f"--{option} {value}: no device; use cpu, cuda or cuda:<number>") from None
    if device.type == "cuda":
        gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= gpus:
            seen = f"{gpus} GPUs" if gpus else "no GPU that torch can use"
            raise InputError(f"--{option} {value}: this machine has {seen}; use --{option} cpu")
    return device


def _number(option: str, value: Any, whole: bool) -> Any:
    """The number. A host may give a number as text, or a whole number as 3.0."""
    try:
        number = float(value) if isinstance(value, str) else value
        is_number = not isinstance(value, bool) and math.isfinite(number) and (not whole or number == int(number))
    except (TypeError, ValueError):
        is_number = False
    if not is_number:
        raise InputError(f"--{option} {value}: not a {'whole ' if whole else ''}number")
    return int(number) if whole else number


def _of_this_program() -> dict[str, str]:
    main = getattr(sys.modules["__main__"], "__spec__", None)
    return typed_options(sys.argv[1:]) if main is not None and main.name == "monai.bundle.__main__" else {}


@functools.cache  # runs once in a process
def read_options_as_meant() -> None:
    """Make MONAI read every option in this process as the user typed it, and convert it to the option's kind."""
    typed = _of_this_program()
    resolve_item = ReferenceResolver._resolve_one_item
    fill_in = ReferenceResolver.update_config_with_refs.__func__
    resolve_relative_ids = ConfigParser.resolve_relative_ids.__func__

    @functools.cache
    def check_names_once() -> None:
        # This check runs late, because it loads components of this package, and so the package must be loaded first.
        if "config_file" in typed:
            check_names(typed, _texts("config_file", None, typed["config_file"]))

    def _resolve_one_item(self: ReferenceResolver, id: str, waiting_list: set[str] | None = None, **kwargs: Any) -> Any:
        check_names_once()
        # A name may start with a character that makes MONAI look up another item, or run the name as code.
        id = self.normalize_id(id)
        item, name = self.items.get(id), id.rpartition("::")[2]
        if id in typed and item is not None and name in TEXT | TEXTS:
            self.resolved_content.setdefault(id, as_meant(id, item.get_config(), typed))
        return resolve_item(self, id, waiting_list, **kwargs)

    def update_config_with_refs(cls: type, config: Any, id: str, refs: dict | None = None) -> Any:
        if isinstance(config, str) and config.startswith(EXPRESSION):
            return fill_in(cls, config, id, refs)  # MONAI has not run the expression yet
        plain = isinstance(config, str) and not config.startswith(REFERENCE)
        if plain and "::" in config and typed and id not in typed and id.rpartition("::")[2] in TEXT:
            # MONAI had read the config before this function was installed.
            raise InputError(f"{id}: MONAI has made {config} of a path with a # in a file; give it as --{id}")
        return as_meant(id, config if plain else fill_in(cls, config, id, refs), typed)

    def resolve_relative(cls: type, id: str, value: str) -> str:
        return resolve_relative_ids(cls, id, value) if value.startswith((EXPRESSION, REFERENCE, "%")) else value

    ReferenceResolver._resolve_one_item = _resolve_one_item
    ReferenceResolver.update_config_with_refs = classmethod(update_config_with_refs)
    ConfigParser.resolve_relative_ids = classmethod(resolve_relative)
