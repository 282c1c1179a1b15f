import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.utils.data import DataLoader, default_collate

from custom_components.data import PrepareSlices, SliceDataset
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import file_sha256
from custom_components.losses import DistillationLoss
from custom_components.teachers import Batch, CachedTeachers, TaughtSlices, TeacherEnsemble, load_teacher

KEYS = ("stride2", "stride8")
CPU = torch.device("cpu")
LOSS = DistillationLoss("emkd")
LOGITS_ONLY = DistillationLoss("emkd", alpha=0)


@pytest.fixture
def folders(make_teacher) -> list[str]:
    return [str(make_teacher(name)) for name in ("espnet", "enet")]


@pytest.fixture
def ensemble(folders) -> TeacherEnsemble:
    return ensemble_of(folders)


def ensemble_of(folders: list[str], keys=KEYS, precision: str = "float32") -> TeacherEnsemble:
    return TeacherEnsemble([load_teacher(folder) for folder in folders], keys, precision)


@pytest.fixture
def slices(cases, preprocessing, tmp_path) -> SliceDataset:
    """Two cases of four slices each."""
    return SliceDataset(cases[:2], preprocessing, tmp_path / "prepared")


@pytest.fixture
def cache_dir(tmp_path) -> Path:
    return tmp_path / "teachers"


def said(teachers, slices: SliceDataset) -> list[torch.Tensor]:
    """The answers for three slices of both cases; all logits come first."""
    taught = TaughtSlices(slices, teachers)
    sample = default_collate([taught[index] for index in (5, 0, 2)])
    image, target = PrepareSlices(slices.transform)(sample)
    answers = teachers.answer(Batch(image, target, sample, 0.0), LOSS.answer)
    summaries = [tensor for answer in answers for own in answer.summaries.values() for tensor in own]
    return [*(answer.logits.float() for answer in answers), *summaries]


def written(cache_dir: Path) -> dict[Path, int]:
    return {file: file.stat().st_mtime_ns for file in cache_dir.rglob("*") if file.is_file()}


def test_cached_teachers_say_what_the_ensemble_says(ensemble, slices, cache_dir):
    cached = CachedTeachers(ensemble, slices, LOSS, "cpu", cache_dir, batch_size=3)  # --device gives the device as text
    torch.testing.assert_close(said(cached, slices), said(ensemble, slices), rtol=1e-4, atol=1e-5)
    assert cached.names == ensemble.names
    assert len(written(cache_dir)) == 2 * 2


def test_the_next_training_computes_nothing_again(ensemble, slices, cache_dir, monkeypatch):
    first = said(CachedTeachers(ensemble, slices, LOSS, CPU, cache_dir), slices)
    files, run, batches = written(cache_dir), ensemble.run, []

    def counted(index, image):
        batches.append(len(image))
        return run(index, image)

    monkeypatch.setattr(ensemble, "run", counted)
    second = said(CachedTeachers(ensemble, slices, LOSS, CPU, cache_dir), slices)
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
    assert written(cache_dir) == files
    assert batches == [1, 1], "one slice a teacher, for the sizes"


def test_other_weights_taps_precision_or_volumes_are_other_entries(
    folders, change_json, slices, cases, checked_in_preprocessing, cache_dir, tmp_path
):
    CachedTeachers(ensemble_of(folders), slices, LOSS, CPU, cache_dir)
    files = written(cache_dir)
    other_size = SliceDataset(cases[:2], checked_in_preprocessing(image_size=64), tmp_path / "prepared")
    others = [(ensemble_of(folders, KEYS[:1]), slices), (ensemble_of(folders, KEYS, "bfloat16"), slices)]
    for number, (teachers, dataset) in enumerate([*others, (ensemble_of(folders), other_size)], start=2):
        CachedTeachers(teachers, dataset, LOSS, CPU, cache_dir)
        assert len(written(cache_dir)) == number * len(files)
    # A teacher has the same cache with other teachers beside it, but another cache with other weights.
    CachedTeachers(ensemble_of(folders[:1]), slices, LOSS, CPU, cache_dir)
    assert len(written(cache_dir)) == 4 * len(files)
    models = Path(folders[0]) / "models"
    state = torch.load(models / "model.pt", weights_only=True)
    torch.save({key: value * 2 for key, value in state.items()}, models / "model.pt")
    change_json(models / "provenance.json", weights_sha256=file_sha256(models / "model.pt"))
    CachedTeachers(ensemble_of(folders[:1]), slices, LOSS, CPU, cache_dir)
    assert len(written(cache_dir)) == 4 * len(files) + 2
    assert written(cache_dir).items() >= files.items()


@pytest.mark.parametrize("damage", [lambda whole: whole[:-1], lambda whole: b"", lambda whole: b"x" + whole[1:]])
def test_a_damaged_entry_is_computed_again(ensemble, slices, cache_dir, damage):
    expected = said(CachedTeachers(ensemble, slices, LOSS, CPU, cache_dir), slices)
    file, *others = written(cache_dir)
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    before = written(cache_dir)
    again = said(CachedTeachers(ensemble, slices, LOSS, CPU, cache_dir), slices)
    assert all(torch.equal(one, other) for one, other in zip(expected, again, strict=True))
    assert file.read_bytes() == whole
    assert all(written(cache_dir)[other] == before[other] for other in others)


def test_every_view_of_a_slice_is_kept(
    ensemble, cases, preprocessing, random_transforms, cache_dir, tmp_path, monkeypatch
):
    def slices(transform, views: int) -> SliceDataset:
        return SliceDataset(cases[:2], preprocessing, tmp_path / "prepared", transform, views)

    dataset = slices(random_transforms(), views=3)
    cached = CachedTeachers(ensemble, dataset, LOSS, CPU, cache_dir)
    for seed in range(4):
        torch.manual_seed(seed)
        asked = said(cached, dataset)
        torch.manual_seed(seed)
        torch.testing.assert_close(asked, said(ensemble, dataset), rtol=1e-4, atol=1e-5)
    files = written(cache_dir)
    # The next training finds the answers, although its transforms have not drawn numbers yet.
    CachedTeachers(ensemble, slices(random_transforms(), views=3), LOSS, CPU, cache_dir)
    assert written(cache_dir) == files
    # Other transforms, another number of views, and no views at all have other answers in the cache.
    turned = random_transforms()
    turned.rotation *= 2
    others = [slices(turned, views=3), slices(random_transforms(), views=2), slices(None, views=0)]
    for number, other in enumerate(others, start=2):
        CachedTeachers(ensemble, other, LOSS, CPU, cache_dir)
        assert len(written(cache_dir)) == number * len(files)


def test_one_answer_moves_with_every_new_version_of_a_slice(
    ensemble, slices, cases, preprocessing, random_transforms, cache_dir, tmp_path, caplog
):
    caplog.set_level("INFO")
    transform = random_transforms()
    changing = SliceDataset(cases[:2], preprocessing, tmp_path / "prepared", transform)
    cached = CachedTeachers(ensemble, changing, LOSS, CPU, cache_dir)
    taught = TaughtSlices(changing, cached)
    sample = default_collate([taught[index] for index in (5, 0, 2)])
    image, target = PrepareSlices(transform)(sample)
    answers = cached.answer(Batch(image, target, sample, 0.0), LOSS.answer)
    still, _ = ensemble(torch.stack([slices[index]["image"] for index in (5, 0, 2)]))
    for answer, logits in zip(answers, still, strict=True):
        moved = transform.move(logits.softmax(dim=1), sample["seed"].tolist())
        torch.testing.assert_close(answer.logits.exp(), moved, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(moved, logits.softmax(dim=1), atol=1e-3)
        assert answer.summaries == {}, "features cannot be moved"
    told = (
        "cache_teachers: answers that move with the slices have no features, which importance, region_contrast need; "
        "for teachers with features, --augmentation_views 4 keeps these terms"
    )
    assert told in caplog.messages
    with pytest.raises(
        InputError, match=r"\Acache_teachers: answers that move with the slices have no features, which "
    ):
        CachedTeachers(ensemble, changing, DistillationLoss("emkd", beta=0), CPU, cache_dir)
    # The file holds what a training without random versions needs, if its loss compares no features.
    files = written(cache_dir)
    CachedTeachers(ensemble, slices, LOGITS_ONLY, CPU, cache_dir)
    assert written(cache_dir) == files
    CachedTeachers(ensemble, slices, LOSS, CPU, cache_dir)
    assert len(written(cache_dir)) == 2 * len(files)


def test_refuses_what_does_not_fit_on_the_disk(ensemble, slices, cache_dir, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1000))
    with pytest.raises(InputError, match=r"\Acache_teachers: needs 0\.\d\d GB in .*, where 0\.00 GB are free; "):
        CachedTeachers(ensemble, slices, LOSS, CPU, cache_dir)
    assert not written(cache_dir)


def test_refuses_two_cases_of_one_name(ensemble, cases, preprocessing, cache_dir, tmp_path):
    twins = [{**case, "case": "Case00"} for case in cases[:2]]
    with pytest.raises(InputError, match=r"\A\S*two cases are called Case00"):
        CachedTeachers(ensemble, SliceDataset(twins, preprocessing, tmp_path / "prepared"), LOSS, CPU, cache_dir)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_logits_take_half_and_are_not_rounded(folders, slices, cache_dir, precision):
    full, half = (ensemble_of(folders[:1], (), one) for one in ("float32", precision))
    cached = CachedTeachers(half, slices, LOGITS_ONLY, CPU, cache_dir / "half", batch_size=1)
    CachedTeachers(full, slices, LOGITS_ONLY, CPU, cache_dir / "full")
    taught = TaughtSlices(slices, cached)[0]["answers"][half.names[0]]["logits"]
    logits, _ = half.run(0, slices[0]["image"][None])
    assert taught.dtype == half.dtype
    assert torch.equal(taught.float(), logits[0])
    sizes = [sum(file.stat().st_size for file in written(cache_dir / own)) for own in ("half", "full")]
    logits = 8 * 2 * 32 * 32  # eight slices, two classes
    headers = 2 * 128  # of two files
    assert sizes == [headers + 2 * logits, headers + 4 * logits]


def test_options_that_change_a_summary_are_other_entries(ensemble, slices, cache_dir):
    CachedTeachers(ensemble, slices, LOSS, CPU, cache_dir)
    files = written(cache_dir)
    # The preset paper has other distances, but the same summaries.
    CachedTeachers(ensemble, slices, DistillationLoss("paper"), CPU, cache_dir)
    assert written(cache_dir) == files
    other = DistillationLoss("emkd", terms={"importance": {"power": 2.0}})
    CachedTeachers(ensemble, slices, other, CPU, cache_dir)
    assert len(written(cache_dir)) == 2 * len(files)


def test_the_loaders_workers_read_the_answers(ensemble, slices, cache_dir):
    taught = TaughtSlices(slices, CachedTeachers(ensemble, slices, LOSS, CPU, cache_dir))
    read = [DataLoader(taught, batch_size=3, num_workers=workers) for workers in (0, 2)]
    for own, other in zip(*read, strict=True):
        assert own["answers"].keys() == set(ensemble.names)
        for name in ensemble.names:
            torch.testing.assert_close(own["answers"][name], other["answers"][name], rtol=0, atol=0)
    # A teacher that runs on the image has nothing stored.
    assert "answers" not in TaughtSlices(slices, ensemble)[0]


def test_a_file_that_vanishes_is_told_in_one_line(ensemble, slices, cache_dir):
    cached = CachedTeachers(ensemble, slices, LOSS, CPU, cache_dir)
    for file in written(cache_dir):
        file.unlink()
    with pytest.raises(InputError, match=r"\Acache_teachers: a file in .* was removed or changed during the training"):
        said(cached, slices)
