"""The settings of a run: every key of its config and command line, with the value that the run uses.

MONAI gives a component only its arguments, and a mapping of references to all keys would miss a key that the command
line adds (``--optimizer::weight_decay 0.1``). So :func:`settings_in_use` asks the resolver that is building the
component (docs/adr/0007-one-run-identity.md).
"""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from monai.bundle import ReferenceResolver

# The only keys that may differ between two parts of one run.
MAY_DIFFER = {
    "where files are": (
        "bundle_root",
        "bundles_dir",
        "dataset_dir",
        "datalist",
        "ckpt_path",
        "predictions_dir",
        "cache_dir",
        "models_dir",
        "output_dir",
        "*::bundles_dir",
        "*::cache_dir",
        "*::output_dir",
        "online_teachers::folder",
    ),
    "names of files and bundles; their content is compared instead": (
        "initial_network::file",
        "online_teachers::teachers",
        "pretrained",
        "student",
        "student_bundle::*",
        "chosen_teachers::teachers",
        "predicted_teachers::teachers",
        "teacher_ensemble::teachers",
        "teachers",
        "test_cases::*",
        "train::dataset::data",
        "train::dataset::data::*",
        "validate::dataset::data",
        "validate::dataset::data::*",
    ),
    "length of the training, and whether to resume": ("resume", "train::trainer::max_epochs"),
    "device and workers": (
        "device",
        "*::device",
        "num_workers",
        "*::num_workers",
        "*::persistent_workers",
        "*::pin_memory",
        "*::prefetch_factor",
    ),
    "outputs and records": (
        "predictions_saw_test_cases",
        "predicted_teachers::saw_test_cases",
        "best_model::models_dir",
        "checkpoint::*",
        "experiment_name",
        "is_not_rank0::*",
        "provenance::*",
        "run_name",
        "save_execute_config",
        "tracking",
        "tracking_uri",
        "training_log::*",
    ),
    "parts that load or call other parts, and keys for MONAI and hosts alone": (
        "_meta_",
        "taps::*",
        "_meta_::*",
        "check",
        "check::*",
        "evaluating",
        "finalize",
        "imports",
        "run",
        "run::*",
        "training",
        "training::*",
    ),
}
# Handlers, in any list of handlers, that do not change the weights. The named handlers have keys of their own.
OUTPUT_HANDLERS = (
    "CheckpointLoader",
    "EvaluationReport",
    "MLFlowHandler",
    "OneTraining",
    "OwnShareOfCores",
    "ProgressBar",
    "StatsHandler",
    "TensorBoardStatsHandler",
    "WindowBorder",
    "named",
)


@dataclass(frozen=True)
class Settings:
    """The settings of a run.

    Attributes:
        values: plain JSON values by key, such as ``optimizer::lr``. An object, such as a network, has the config's text
            as its value; everything that this text refers to has a key of its own.
        derived: the keys whose values follow from others by a reference or an expression.
    """

    values: Mapping[str, Any]
    derived: frozenset[str] = frozenset()

    def below(self, key: str) -> dict[str, Any] | None:
        """The values below a key, such as ``network_def``, by the rest of their keys.

        The result is None if the key holds no mapping.
        """
        prefix = f"{key}::"
        return {name.removeprefix(prefix): v for name, v in self.values.items() if name.startswith(prefix)} or None


def settings_in_use() -> Settings:
    """The settings of the config that MONAI is resolving at this moment.

    Raises:
        RuntimeError: if the call does not come from a config.
    """
    frame = inspect.currentframe()
    while frame is not None:
        resolver = frame.f_locals.get("self")
        if isinstance(resolver, ReferenceResolver):
            return settings_of(resolver.items[""].get_config(), resolver.resolved_content)
        frame = frame.f_back
    raise RuntimeError("settings_in_use: not called from a config of MONAI")


def settings_of(config: Mapping[str, Any], resolved: Mapping[str, Any] | None = None) -> Settings:
    """The settings of a config.

    Args:
        config: the config with the overrides of the command line.
        resolved: the values that MONAI has resolved, by id. Without it, references and expressions keep their text.
    """
    values, derived = {}, set()
    leaves = list(_leaves(config))
    if resolved is not None:
        # Plain values count as resolved, even if MONAI has not reached them yet.
        resolved = {**{id: content for _, id, content in leaves if not _is_text_of(content)}, **resolved}
    for key, id, content in leaves:
        key = ReferenceResolver.normalize_id(key)
        if may_differ(key):
            continue
        values[key] = _value(id, content, resolved or {})
        if any(map(_is_text_of, _items(content))):
            derived.add(key)
    return Settings(values, frozenset(derived))


def may_differ(key: str) -> bool:
    """Whether a key may have different values in two parts of one run."""
    return any(fnmatchcase(key, pattern) for patterns in MAY_DIFFER.values() for pattern in patterns)


def _leaves(content: Any, key: str = "", id: str = "") -> Iterator[tuple[str, str, Any]]:
    """Every value that is not a mapping or a list of mappings: its key, its id in MONAI's resolver, and the value.

    Key and id differ for handlers only: hosts and MONAI's tracking add handlers to the list, so a handler's number is
    not a fixed name.
    """
    if isinstance(content, Mapping) and content:
        parts = [(name, name, item) for name, item in content.items()]
    elif isinstance(content, list) and key.rpartition("::")[2] == "handlers":
        parts = _named(content)
    elif isinstance(content, list) and any(isinstance(item, Mapping | list) for item in content):
        parts = [(number, number, item) for number, item in enumerate(content)]
    else:
        yield key, id, content
        return
    for name, place, item in parts:
        yield from _leaves(item, f"{key}::{name}" if key else str(name), f"{id}::{place}" if id else str(place))


def _named(handlers: list[Any]) -> list[tuple[str, int, Any]]:
    """The handlers that do more than write and print, each with a name and its number in the list."""
    named: list[tuple[str, int, Any]] = []
    for number, handler in enumerate(handlers):
        target = handler.get("_target_") if isinstance(handler, Mapping) else handler
        name = str(target).rpartition(".")[2]
        same = sum(other.split("_#")[0] == name for other, _, _ in named)
        if name not in OUTPUT_HANDLERS:
            named.append((f"{name}_#{same + 1}" if same else name, number, handler))
    return named


def _is_text_of(content: Any) -> bool:
    """Whether a value is the text of a reference or of an expression."""
    return isinstance(content, str) and content[:1] in ("@", "$")


def _items(content: Any) -> list[Any]:
    return list(content) if isinstance(content, list | tuple) else [content]


def _value(id: str, content: Any, resolved: Mapping[str, Any]) -> Any:
    if isinstance(content, list | tuple):
        return [_value(f"{id}::{number}", item, resolved) for number, item in enumerate(content)]
    found = content
    if isinstance(content, str) and content.startswith("$"):
        found = resolved.get(id, content)
    elif isinstance(content, str) and content.startswith("@"):
        other = ReferenceResolver.normalize_id(content[1:])
        found = content if may_differ(other) else resolved.get(other, content)
        # A list has one key for all of its items.
        found = content if isinstance(found, list | tuple) else found
    if isinstance(found, np.generic):
        found = found.item()
    if _is_plain(found):
        return list(found) if isinstance(found, tuple) else found
    return content if isinstance(content, str) else type(content).__qualname__


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, str | int | float | bool)
