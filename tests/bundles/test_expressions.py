"""A config holds values, references and named functions. This module lists the allowed kinds of ``$`` expression.

Logic that needs more than one of them belongs in a function with a name and a test.
"""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIGS = sorted(REPOSITORY.glob("bundles/*/configs/*.json"))
PLANS = sorted(REPOSITORY.glob("experiments/plans/*.yaml"))

REFERENCE = re.compile(r"@\w+(?:(?:#|::)\w+)*")
MODULES = {"custom_components", "monai", "os", "time", "torch"}
BUILT_IN = {"len", "print", "str"}

# Hosts read these two from the only config that they open. --tracking reads them before Python finds custom_components.
FORCED = {
    "bundle_root": (
        "$os.path.abspath(next((p for p in (sys.path[1], '.', 'bundles/NAME') "
        "if os.path.isfile(p + '/configs/metadata.json')), '.'))"
    ),
    "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
}


def expressions(content: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every expression of a config, with its key."""
    if isinstance(content, dict | list):
        for name, item in content.items() if isinstance(content, dict) else enumerate(content):
            yield from expressions(item, f"{key}::{name}".removeprefix("::"))
    elif isinstance(content, str) and content.startswith("$"):
        yield key, content


def kinds(expression: str) -> set[str]:
    """The kinds of all parts of an expression. A kind that is not allowed has its Python name."""
    code = REFERENCE.sub("reference", expression.removeprefix("$"))
    if re.fullmatch(r"import \w+", code):
        return {"import"}
    return set(_kinds(ast.parse(code, mode="eval").body))


def _kinds(node: ast.expr) -> Iterator[str]:
    parts: list[ast.expr] = []
    match node:
        case ast.Constant():
            yield "value"
        case ast.List(elts=parts):
            yield "value"
        case ast.Name(id="reference"):
            yield "reference"
        case ast.Attribute() if _root(node) in MODULES:
            yield "attribute"
        case ast.Attribute(value=inner):
            yield "attribute"
            parts = [inner]
        case ast.Call(func=ast.Name(id=name)) if name in BUILT_IN:
            yield "named function"
            parts = _arguments(node)
        case ast.Call(func=ast.Attribute() as function) if _root(function) in MODULES:
            yield "named function"
            parts = _arguments(node)
        case ast.Call(func=ast.Attribute(value=inner)) if _root(inner) == "reference":
            yield "method of a reference"
            parts = [inner, *_arguments(node)]
        case ast.BinOp(left=left, op=ast.Add() | ast.Mult() | ast.Div(), right=right):
            yield "arithmetic"
            parts = [left, right]
        case ast.Compare(left=left, comparators=others):
            yield "comparison"
            parts = [left, *others]
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            yield "negation"
            parts = [inner]
        case _:
            yield type(node).__name__
    for part in parts:
        yield from _kinds(part)


def _arguments(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(keyword.value for keyword in call.keywords)]


def _root(node: ast.expr) -> str | None:
    """The first name of ``a.b.c``; None of anything else."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


ALLOWED = {
    "arithmetic",
    "attribute",
    "comparison",
    "import",
    "method of a reference",
    "named function",
    "negation",
    "reference",
    "value",
}


def test_a_config_has_no_other_kind_of_expression():
    found = set()
    for config in CONFIGS:
        for key, text in expressions(json.loads(config.read_text())):
            if key in FORCED:
                assert text.replace(f"bundles/{config.parts[-3]}'", "bundles/NAME'") == FORCED[key], config
                continue
            told = kinds(text)
            assert told <= ALLOWED, f"{config.relative_to(REPOSITORY)}: {key}: {text}: {told - ALLOWED}"
            found |= told
    assert found == ALLOWED  # every allowed kind occurs in a config


@pytest.mark.parametrize(
    ("expression", "kind"),
    [
        ("$@cached or @online", "BoolOp"),
        ("$os.path.isfile(@file) or sys.exit('error')", "BoolOp"),
        ("$sys.exit('error')", "Call"),
        ("$sys.path.insert(0, @root)", "Call"),
        ("$sys.path", "Name"),
        ("$lambda x: x", "Lambda"),
        ("$type(@x)", "Call"),
        ("$type('Mine', (), {})()", "Call"),
        ("$len(type(@x).__name__)", "Call"),
        ("$8 if @device == 'cuda' else 1", "IfExp"),
        ("$[case['image'] for case in @cases]", "ListComp"),
        ("$next(p for p in @paths)", "Call"),
        ("$__import__('os').getcwd()", "Call"),
        ("$@x[0]", "Subscript"),
        ("$@f(1)", "Call"),
        ("$max(1, len(@dataset) // 3)", "Call"),
        ("$print(f'{@x}')", "JoinedStr"),
    ],
)
def test_what_belongs_into_a_function_is_found(expression, kind):
    assert kind in kinds(expression) - ALLOWED


@pytest.mark.parametrize("plan", PLANS, ids=lambda path: path.stem)
def test_a_plan_holds_values_alone(plan):
    assert "$" not in plan.read_text()
