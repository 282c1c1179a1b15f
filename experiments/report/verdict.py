"""A choice of a model in words: its score, how sure the choice is, its cost, and where its weights are."""

from collections.abc import Sequence

from experiments.report.bootstrap import Estimate
from experiments.report.deployment import FEWEST_CASES, Choice, Rival
from experiments.report.folds import JoinedRun
from experiments.report.network_costs import cpu_time
from experiments.report.scores import count
from experiments.report.study import Model, StudyRecord
from reporting.blocks import Answer
from reporting.table import NOTHING

# A sentence that would name more models counts the rest.
MOST_NAMED = 3


def answer(choice: Choice, study: StudyRecord) -> Answer:
    """The model to deploy with its mean Dice, and how sure the cases are of it."""
    cases = f"{len(choice.cases)} {study.settings['scored_on']} {'case' if len(choice.cases) == 1 else 'cases'}"
    text = f"{_situation(choice.masks)} {choice.best.label}. Its mean Dice is {choice.dice.mean:.1f} on {cases}"
    interval = f" (95 % interval {_span(choice.dice)})" if len(choice.cases) > 1 else ""
    return Answer(f"{text}{interval}.".strip(), " ".join(_doubts(choice)))


def cost(model: Model) -> str:
    """The parameters of a model, its time on a CPU, and the place of its weights."""
    time = cpu_time(model.network)
    measured = f", {time} for a slice of 1x384x384 on a CPU" if time != NOTHING else ""
    return f"{count(parameters(model))} parameters{measured}; {_weights(model)}"


def parameters(model: Model) -> int:
    """The number of parameters of a model."""
    return model.rows[0].evaluation["params"]


def missed(model: Model) -> list[str]:
    """The cases of which at least one seed missed the prostate."""
    return [case for case in model.cases if model.missed(case)]


def lead(rival: Rival) -> str:
    """The difference by which the chosen model is ahead, with its interval."""
    interval = f" ({_span(rival.lead, sign='+')})" if rival.lead.cases > 1 else ""
    return f"{rival.lead.mean:+.1f}{interval}"


def named(labels: Sequence[str]) -> str:
    """``A, B and C``; further ones are counted: ``A, B, C and 2 others``."""
    rest = len(labels) - MOST_NAMED
    parts = [*labels[:MOST_NAMED], f"{rest} {'other' if rest == 1 else 'others'}"] if rest > 0 else [*labels]
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else "".join(parts)


def _situation(masks: int | str | None) -> str:
    if masks is None:
        return "Deploy"
    if isinstance(masks, str):
        return "With masks of all cases of your site, deploy"
    return f"With {('no mask', 'one mask')[masks] if masks < 2 else f'{masks} masks'} of your site, deploy"


def _doubts(choice: Choice) -> list[str]:
    sentences = []
    if choice.rivals:
        sentences += _against(choice)
    elif choice.stand_in:
        other = choice.stand_in
        sentences.append(f"No other candidate is scored here. Against {other.model.label}: {lead(other)} Dice points.")
        sentences += [] if other.told_apart else [_cannot_tell(choice)]
    else:
        sentences.append("No other model is scored here, so there is nothing to compare it with.")
    if lost := missed(choice.best):
        sentences.append(f"It missed the prostate in {len(lost)} of {len(choice.cases)} cases.")
    return sentences


def _against(choice: Choice) -> list[str]:
    first, *others = choice.rivals
    close = [rival.model for rival in choice.rivals if not rival.told_apart]
    sentences = [f"It leads the runner-up, {first.model.label}, by {lead(first)} Dice points."]
    if not close:
        sentences.append("The whole interval is above zero: it is the better one on cases like these.")
        return sentences
    if first.told_apart:
        sentences.append(f"But it cannot be told apart from {named([model.label for model in close])}.")
    else:
        sentences.append(_cannot_tell(choice))
        further = [rival.model.label for rival in others if not rival.told_apart]
        sentences += [f"The same holds for {named(further)}."] if further else []
    smallest = min(close, key=parameters)
    if parameters(smallest) < parameters(choice.best):
        sentences.append(f"Of these, {smallest.label} is the smallest ({count(parameters(smallest))} parameters).")
    return sentences


def _cannot_tell(choice: Choice) -> str:
    if len(choice.cases) < FEWEST_CASES:
        return f"Fewer than {FEWEST_CASES} cases cannot tell any two models apart."
    return f"The interval includes zero: these {len(choice.cases)} cases cannot tell the two apart."


def _weights(model: Model) -> str:
    row = model.rows[0]
    if row.masks is not None:
        return "train it with the images of your site before you deploy it"
    if isinstance(row, JoinedRun):
        return "every fold has weights of its own, so train it once on all cases before you deploy it"
    of_seed = f", seed {row.seed}" if len(model.rows) > 1 else ""
    return f"weights in bundles/{row.name}/models{of_seed}"


def _span(found: Estimate, sign: str = "") -> str:
    return f"{found.low:{sign}.1f} to {found.high:{sign}.1f}"
