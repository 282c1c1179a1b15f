"""A weighted sum of loss terms, made from a table; the base of both losses."""

import inspect
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from torch import Tensor, nn

from custom_components.foundation.errors import InputError
from custom_components.loss_terms import TERMS
from custom_components.losses._tensors import check_choice, check_number
from custom_components.losses.term import Term

OPTIONS_OF_ALL = ("weight", "anneal")


class SumOfTerms(nn.Module):
    """Σ weight · term, always in the order of the table in ``loss_terms.py``.

    Args:
        table: options by term. Every term has the option ``weight``; with 0 the term is not computed. Every term also
            has the option ``anneal``, the share of its weight at the training's end (by default 1). The weight falls
            linearly, as the whole distillation does in the teacher annealing of Clark et al. 2019 (BAM, arXiv
            1907.04829). The other options are the arguments of the term's class.

    Attributes:
        parts: the terms whose weight is above 0, by name.
        term_weights: the weights of these terms at the training's start.
        needs: the needs of all these terms together, see :attr:`Term.needs`.
        progress: progress of the training, 0 at its start and 1 in its last epoch; the trainer sets it.
        last_terms: the unweighted terms of the last call, detached scalars by name; logs show them.

    Raises:
        InputError: if a term, an option or a value is unknown, or if all weights are 0.
    """

    def __init__(self, table: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__()
        for name in table:
            check_choice("terms", name, tuple(TERMS))
        named = [name for name in TERMS if name in table]
        terms = {name: _term(name, table[name]) for name in named}
        self.term_weights = {name: table[name]["weight"] for name in named if table[name]["weight"]}
        if not self.term_weights:
            raise InputError(f"the loss has no term; give a weight above 0 to one of {', '.join(named)}")
        self.parts = nn.ModuleDict({name: terms[name] for name in self.term_weights})
        self.needs = frozenset().union(*(term.needs for term in self.parts.values()))
        self.progress = 0.0
        self.last_terms: dict[str, Tensor] = {}
        self._shares = {name: table[name].get("anneal", 1.0) for name in self.term_weights}

    def weighted(self, terms: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Each of the given terms times its present weight w (1 - (1 - anneal) progress)."""
        return {
            name: weight * (1 - (1 - self._shares[name]) * self.progress) * terms[name]
            for name, weight in self.term_weights.items()
            if name in terms
        }


def _term(name: str, options: Mapping[str, Any]) -> Term:
    module, _, kind = TERMS[name].rpartition(".")
    make = getattr(import_module(module), kind)
    known = [*OPTIONS_OF_ALL, *inspect.signature(make).parameters]
    for option in options:
        if option not in known:
            raise InputError(f"loss term {name} has no option {option!r}; it has {', '.join(known)}")
    if "weight" not in options:
        raise InputError(f"loss term {name} has no weight; give terms.{name}.weight")
    check_number(f"terms.{name}.weight", options["weight"], least=0)
    check_number(f"terms.{name}.anneal", options.get("anneal", 1.0), least=0, most=1)
    return make(**{option: value for option, value in options.items() if option not in OPTIONS_OF_ALL})


def lay_over(table: Mapping[str, Mapping[str, Any]], changes: Any) -> dict[str, dict[str, Any]]:
    """Return ``table`` with each term's options replaced by those in ``changes``; None changes nothing.

    Raises:
        InputError: unless ``changes`` is a table too.
    """
    if changes is None:
        return {name: dict(options) for name, options in table.items()}
    if not isinstance(changes, Mapping):
        raise InputError(f"loss option terms={changes!r} must be a table, e.g. {{'prediction': {{'weight': 0.1}}}}")
    for name, options in changes.items():
        if not isinstance(options, Mapping):
            raise InputError(f"loss option terms.{name}={options!r} must hold options by name, e.g. {{'weight': 0.1}}")
    names = dict.fromkeys([*table, *changes])
    laid = {name: {**table.get(name, {}), **changes.get(name, {})} for name in names}
    # A config lists all terms, so that one flag can set any option; a term without options there does not change.
    return {name: options for name, options in laid.items() if options}
