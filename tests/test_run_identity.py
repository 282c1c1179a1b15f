"""Two runs with the same meaning have the same identity. A difference is described in words."""

import json

import pytest

from custom_components.run_identity import VERSION, differences, in_one_line, is_comparable, run_identity
from custom_components.run_settings import Settings

CASES = {"training": [("a", "i1", "m1"), ("b", "i2", "m2")], "validation": [("c", "i3", "m3")]}


def identity(values=None, derived=(), cases=CASES, **files):
    return run_identity(Settings(values or {}, frozenset(derived)), cases, **files)


def told(was, now):
    assert (was["sha256"] == now["sha256"]) == (differences(was, now) == [])
    return in_one_line(differences(was, now))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (0.01, "0.01"),
        (0.01, "1e-2"),
        (8, "8"),
        (8, 8.0),
        (True, "true"),
        (False, "False"),
        (True, 1),
        (None, "None"),
        ([0.9, 0.999], "[0.9, 0.999]"),
        ((1, 2), [1, 2]),
        ("float32", " float32 "),
    ],
)
def test_values_that_mean_the_same_are_the_same(one, other):
    assert told(identity({"key": one}), identity({"key": other})) == ""


def test_a_key_that_is_null_and_one_that_is_not_there_are_the_same():
    assert told(identity({"field_of_view": None}), identity()) == ""


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        (0.01, 0.011, "key (was 0.01, now 0.011)"),
        ("bfloat16", "float32", "key (was bfloat16, now float32)"),
        (0, None, "key (was 0, now not set)"),
        ([1, 2], [2, 1], "key (was [1, 2], now [2, 1])"),
    ],
)
def test_other_values_are_told(one, other, words):
    assert told(identity({"key": one}), identity({"key": other})) == words


def test_a_value_that_follows_from_another_is_told_only_without_it():
    was = identity({"rate": 0.1, "lr": 0.1}, ["lr"])
    assert told(was, identity({"rate": 0.2, "lr": 0.2}, ["lr"])) == "rate (was 0.1, now 0.2)"
    assert told(was, identity({"rate": 0.1, "lr": 0.3}, ["lr"])) == "lr (was 0.1, now 0.3)"


def test_the_first_three_differences_are_told():
    was, now = identity(dict.fromkeys("abcde", 1)), identity(dict.fromkeys("abcde", 2))
    assert told(was, now) == "a (was 1, now 2), b (was 1, now 2), c (was 1, now 2) and 2 more"


@pytest.mark.parametrize(
    ("training", "words"),
    [
        ([("a", "i1", "m1"), ("b", "i2", "corrected")], "mask of b (was m2, now correcte)"),
        ([("a", "other", "m1"), ("b", "i2", "m2")], "image of a (was i1, now other)"),
        ([("a", "i1", "m1")], "training cases (without b, with none)"),
        ([*CASES["training"], ("d", "i4", "m4")], "training cases (without none, with d)"),
        ([("b", "i2", "m2"), ("a", "i1", "m1")], "order of the training cases"),
        ([("renamed", "i1", "m1"), ("b", "i2", "m2")], ""),
    ],
)
def test_cases_are_their_files_and_not_their_names(training, words):
    assert told(identity(), identity(cases={**CASES, "training": training})) == words


def test_what_files_and_bundles_hold_belongs_to_the_run():
    teacher = {"weights_sha256": "w1", "network_def": {"_target_": "PSPNet"}, "taps": {"stride2": "stem"}}
    was = identity(pretrained_sha256="p1", teachers={"pspnet": teacher})
    assert told(was, identity(pretrained_sha256="p2", teachers={"pspnet": teacher})) == "pretrained (was p1, now p2)"
    other = {**teacher, "weights_sha256": "w2"}
    now = identity(pretrained_sha256="p1", teachers={"pspnet": other})
    assert told(was, now) == "teachers::pspnet::weights_sha256 (was w1, now w2)"
    other = {**teacher, "taps": {"stride2": "layer1"}}
    now = identity(pretrained_sha256="p1", teachers={"pspnet": other})
    assert told(was, now) == "teachers::pspnet::taps::stride2 (was stem, now layer1)"


def test_a_record_survives_json_and_names_its_version():
    record = identity({"betas": [0.9, 0.999], "amp": False}, ["lr"])
    assert json.loads(json.dumps(record)) == record
    assert is_comparable(record)
    assert not is_comparable({**record, "version": VERSION + 1})
    assert not is_comparable({"seed": 0})
    assert not is_comparable(None)
