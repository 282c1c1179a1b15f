"""Only one training at a time writes into a folder."""

import pytest
from ignite.engine import Engine, Events

from custom_components.foundation.errors import InputError
from custom_components.handlers import OneTraining


def training(step, *folders) -> Engine:
    engine = Engine(lambda *_: step())
    OneTraining(folders).attach(engine)
    return engine


@pytest.mark.parametrize("shared", ["models", "output"])
def test_a_second_training_into_one_of_the_folders_is_refused_before_it_starts(tmp_path, shared):
    started, refused = [], []

    def second() -> None:
        engine = training(lambda: None, tmp_path / "models", tmp_path / "output")
        engine.add_event_handler(Events.STARTED, lambda: started.append(1))
        with pytest.raises(InputError, match=rf"\A{tmp_path}/{shared}: another training writes into this folder; .*\Z"):
            engine.run([0])
        refused.append(1)

    training(second, tmp_path / shared, tmp_path / "other").run([0])
    assert (started, refused) == ([], [1])


def test_a_training_that_has_ended_or_failed_lets_go(tmp_path):
    def fail() -> None:
        raise ValueError("spoilt")

    for _ in range(2):
        with pytest.raises(ValueError, match=r"\Aspoilt\Z"):
            training(fail, tmp_path, tmp_path).run([0])
        training(lambda: None, tmp_path).run([0])
    assert list(tmp_path.iterdir()) == []
