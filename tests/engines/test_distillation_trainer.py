import gc
import hashlib
import weakref

import pytest
import torch
from ignite.engine import Events
from monai.engines import IterationEvents
from torch.nn.parallel import DistributedDataParallel

from custom_components.engines import distillation
from custom_components.foundation.errors import InputError, NotFiniteError
from custom_components.handlers import ResumeCheckpoint
from custom_components.networks import ENet, ESPNet, MobileNetV2

TERMS = ["dice", "lovasz", "importance", "region_contrast", "prediction"]


def hashes(module: torch.nn.Module) -> dict[str, str]:
    return {name: digest(tensor) for name, tensor in module.state_dict().items()}


def digest(tensor: torch.Tensor) -> str:
    return hashlib.sha256(tensor.numpy().tobytes()).hexdigest()


def test_overfits_one_batch(make_distillation):
    run = make_distillation([ESPNet, MobileNetV2], epochs=12, student_kind=ENet)
    run.trainer.run()
    assert run.log.rows[-1]["loss"] < 0.6 * run.log.rows[0]["loss"]


def test_logs_every_term_every_teachers_weight_and_every_gradient_norm(make_distillation):
    run = make_distillation([ESPNet, MobileNetV2])
    run.trainer.run()
    (row,) = run.log.rows
    weights = ["weight_ESPNet", "weight_MobileNetV2"]
    assert list(row) == ["epoch", "learning_rate", "loss", *TERMS, *weights, *(f"grad_{name}" for name in TERMS)]
    assert row["weight_ESPNet"] + row["weight_MobileNetV2"] == pytest.approx(1)
    segmentation = 0.2 * row["dice"] + 0.3 * row["lovasz"]
    distillation = 0.1 * (row["importance"] + row["region_contrast"] + row["prediction"])
    assert row["loss"] == pytest.approx(segmentation + distillation, rel=1e-5)
    assert all(row[f"grad_{name}"] > 0 for name in TERMS)


def test_a_terms_weight_falls_over_the_epochs(make_distillation, tiny):
    """That of the predictions, to a fifth in the last of three epochs; the logged terms are as without weight."""
    loss = {"alpha": 0.0, "terms": {"prediction": {"weight": 1.0, "anneal": 0.2}}}
    run = make_distillation([tiny], epochs=3, loss=loss)
    run.trainer.run()
    for row, weight in zip(run.log.rows, (1.0, 0.6, 0.2), strict=True):
        expected = 0.2 * row["dice"] + 0.3 * row["lovasz"] + weight * row["prediction"]
        assert row["loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("gate", ["right", "better"])
def test_distils_through_a_gate(make_distillation, gate):
    run = make_distillation([ESPNet, MobileNetV2], epochs=2, loss={"gate": gate, "weighting": "softmin"})
    run.trainer.run()
    assert [name for name in run.log.rows[0] if name in TERMS] == TERMS


def test_teachers_without_features_are_left_out_and_told_once(make_distillation, tiny, caplog):
    run = make_distillation([tiny], epochs=2, batch_size=2, without_features=True)
    with caplog.at_level("INFO"):
        run.trainer.run()
    told = [line for line in caplog.messages if "no features" in line]
    assert told == ["Tiny: no features, so importance, region_contrast leave them out"]
    assert [name for name in run.log.rows[0] if name in TERMS] == ["dice", "lovasz", "prediction"]


def test_a_loss_of_features_alone_needs_a_teacher_with_features(make_distillation, tiny):
    run = make_distillation([tiny], loss={"beta": 0.0}, without_features=True)
    with pytest.raises(
        InputError, match=r"\Ateachers: Tiny: has no features, and no other distilling term has a weight"
    ):
        run.trainer.run()


def test_labels_for_slices_without_a_mask_need_such_slices(make_distillation, tiny):
    run = make_distillation([tiny], loss={"pseudo_labels": "all"})
    with pytest.raises(InputError, match=r"\Aloss::pseudo_labels: all slices have a mask; give --unlabeled True"):
        run.trainer.run()


def test_the_only_terms_gradient_is_that_of_the_step(make_distillation, tiny):
    run = make_distillation(
        [tiny], loss={"alpha": 0.0, "beta": 0.0, "terms": {"lovasz": {"weight": 0.0}}}, batch_size=2
    )
    norms = []
    run.trainer.add_event_handler(
        IterationEvents.BACKWARD_COMPLETED,
        lambda: norms.append(torch.nn.utils.get_total_norm([p.grad for p in run.student.parameters()]).item()),
    )
    run.trainer.run()
    assert len(norms) == 2
    # Measured on the first of the two batches.
    assert run.log.rows[0]["grad_dice"] == pytest.approx(norms[0], rel=1e-5)


def test_measuring_gradients_does_not_change_the_training(make_distillation, tiny, monkeypatch):
    measured = make_distillation([tiny], epochs=2)
    measured.trainer.run()
    monkeypatch.setattr(distillation, "gradient_norms", lambda *_: {})
    plain = make_distillation([tiny], epochs=2)
    plain.trainer.run()
    assert "grad_dice" in measured.log.rows[1]
    assert "grad_dice" not in plain.log.rows[1]
    assert hashes(measured.student) == hashes(plain.student)


@pytest.mark.parametrize("kinds", [[ENet], [ESPNet, MobileNetV2], [ESPNet, MobileNetV2, ENet, ESPNet]])
def test_teachers_are_frozen_in_every_sense(make_distillation, kinds, tmp_path):
    run = make_distillation(kinds, epochs=2)
    ensemble, trainer = run.trainer.teachers, run.trainer
    before = hashes(ensemble)
    modes = set()
    trainer.add_event_handler(Events.ITERATION_STARTED, lambda: (trainer.network.train(), ensemble.train()))
    trainer.add_event_handler(
        IterationEvents.LOSS_COMPLETED, lambda: modes.update(module.training for module in ensemble.modules())
    )
    provenance = {"run": {}}
    objects = {"network": run.student, "optimizer": trainer.optimizer}
    ResumeCheckpoint(tmp_path / "last.pt", objects, provenance).attach(trainer)
    trainer.run()

    assert modes == {False}
    assert any("running_mean" in name for name in before)
    assert hashes(ensemble) == before
    parameters = list(ensemble.parameters())
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in parameters)
    learners = {id(parameter) for group in trainer.optimizer.param_groups for parameter in group["params"]}
    assert learners == {id(parameter) for parameter in run.student.parameters()}
    assert not learners & {id(parameter) for parameter in parameters}
    last = torch.load(tmp_path / "last.pt", weights_only=True)
    assert last["network"].keys() == run.student.state_dict().keys()
    assert not {"teachers", "loss"} & last.keys()
    assert sum(run.log.rows[0][f"weight_{name}"] for name in ensemble.names) == pytest.approx(1)


def test_nothing_of_a_step_outlives_it(make_distillation, tiny, monkeypatch):
    """Over 200 steps the tapped activations die with their step, and no further tensor stays."""
    run = make_distillation([tiny], epochs=50, batch_size=1)
    taps, collected, alive, tensors = run.trainer.student_taps, [], [], []

    def watch(keys):
        features = type(taps).collect(taps, keys)
        collected[:] = [weakref.ref(feature) for feature in features]
        return features

    def count(engine):
        alive.append(sum(reference() is not None for reference in collected))
        if engine.state.iteration in (20, 200):
            gc.collect()
            tensors.append(sum(issubclass(type(item), torch.Tensor) for item in gc.get_objects()))

    monkeypatch.setattr(taps, "collect", watch)
    run.trainer.add_event_handler(Events.ITERATION_COMPLETED, count)
    run.trainer.run()
    assert alive == [0] * 200
    assert taps._features == {}
    assert tensors[0] == tensors[1]


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_distils_a_compiled_student_alike(make_distillation, tiny, backend):
    plain = make_distillation([tiny])
    plain.trainer.run()
    compiled = make_distillation([tiny], compile=True, compile_kwargs={"backend": backend})
    compiled.trainer.run()
    for name, value in plain.log.rows[0].items():
        assert compiled.log.rows[0][name] == pytest.approx(value, rel=1e-4), name


def test_weights_of_each_slice_are_logged_by_site():
    weights = torch.tensor([[0.2, 0.8], [0.4, 0.6], [0.9, 0.1]])
    logged = distillation.weights_by_site(weights, ["a", "b"], ["St. O (1)", "St. O (1)", ""])
    assert {name: round(value.item(), 6) for name, value in logged.items()} == {
        "weight_a": 0.5,
        "weight_a/St. O _1_": 0.3,
        "weight_b": 0.5,
        "weight_b/St. O _1_": 0.7,
    }
    assert distillation.weights_by_site(weights[0], ["a", "b"], ["HK"]).keys() == {"weight_a", "weight_b"}


def test_distils_through_a_ddp_wrapper_alike(make_distillation, tiny, process_group):
    plain = make_distillation([tiny], epochs=2)
    plain.trainer.run()
    wrapped = make_distillation([tiny], epochs=2, wrap=DistributedDataParallel)
    teachers = {id(parameter) for parameter in wrapped.trainer.teachers.parameters()}
    assert not teachers & {id(parameter) for parameter in wrapped.trainer.network.parameters()}
    wrapped.trainer.run()
    assert wrapped.log.rows == plain.log.rows
    assert hashes(wrapped.student) == hashes(plain.student)


def test_a_slice_that_is_not_finite_is_named_alone_and_the_checkpoint_before_stays(make_distillation, tiny, tmp_path):
    run = make_distillation([tiny], epochs=3)
    provenance = {"run": {}}
    ResumeCheckpoint(tmp_path / "last.pt", {"network": run.student}, provenance).attach(run.trainer)
    kept = {}
    run.trainer.add_event_handler(Events.EPOCH_COMPLETED(once=1), lambda: kept.update(hashes(run.student)))
    run.trainer.add_event_handler(
        Events.ITERATION_STARTED(once=2), lambda engine: engine.state.batch["image"][2].fill_(torch.nan)
    )
    with pytest.raises(
        NotFiniteError, match=r"\Aloss term 'dice' is nan in epoch 2: the image is not finite on"
    ) as error:
        run.trainer.run()
    batch = run.trainer.state.batch
    named = [
        f"{case} slice {int(index)}" in str(error.value)
        for case, index in zip(batch["case"], batch["slice"], strict=True)
    ]
    assert named == [False, False, True, False]
    last = torch.load(tmp_path / "last.pt", weights_only=True)
    assert {name: digest(tensor) for name, tensor in last["network"].items()} == kept
    assert last["trainer"]["iteration"] == 1


def test_a_teacher_whose_output_is_not_finite_is_named(make_distillation, monkeypatch):
    run = make_distillation([ESPNet, MobileNetV2])
    ensemble = run.trainer.teachers
    original = ensemble.run

    def overflow(index, image):
        logits, features = original(index, image)
        if index == 1:
            logits[3] = torch.inf
        return logits, features

    monkeypatch.setattr(ensemble, "run", overflow)
    named = r"\Aloss term .* is nan in epoch 1: the output of teacher MobileNetV2 is not finite on \S+ slice 3; use --"
    with pytest.raises(NotFiniteError, match=named):
        run.trainer.run()


def test_weights_spoilt_by_an_epochs_last_step_are_not_saved(make_distillation, tiny, tmp_path):
    run = make_distillation([tiny], epochs=2)
    saved = []

    def spoil(engine):
        if engine.state.iteration == 2:
            next(run.student.parameters()).grad.fill_(torch.inf)

    run.trainer.add_event_handler(IterationEvents.BACKWARD_COMPLETED, spoil)
    run.trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda engine: saved.append(engine.state.epoch))
    with pytest.raises(NotFiniteError, match=r"\Athe weights are not finite after the last step of epoch 2"):
        run.trainer.run()
    assert saved == [1]


def test_a_weighting_that_does_not_fit_the_teachers_is_told(make_distillation):
    with pytest.raises(InputError, match=r"\Aloss option weighting=\[1\.0\] must name 2 teachers' weights\Z"):
        make_distillation([ESPNet, MobileNetV2], loss={"weighting": [1.0]}).trainer.run()
