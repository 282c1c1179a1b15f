import pickle
from pathlib import Path

from custom_components.foundation.errors import InputError
from data_prep.findings import Finding, FindingsError, findings_of

FILE = Path("/raw/Doe John: 7/case; 1.nii.gz")


def test_a_finding_takes_the_fields_of_the_error_whatever_they_hold():
    error = InputError("is truncated; or (1) damaged: here", FILE, advice="copy it (again)", detail="Doe; John: x")
    (finding,) = findings_of(error, Path("other"))
    assert finding == Finding(str(FILE), "is truncated; or (1) damaged: here", "copy it (again)", "Doe; John: x")
    assert str(finding) == str(error)


def test_the_sentence_of_an_error_without_a_place_is_detail_alone():
    (finding,) = findings_of(InputError(f"{FILE}: holds Doe; mend it"), FILE)
    assert finding.file == str(FILE)
    assert "Doe" not in finding.problem + finding.advice
    assert finding.detail == f"{FILE}: holds Doe; mend it"


def test_an_error_may_carry_several_findings_through_a_pickle():
    findings = [Finding("a", "is empty", "restore it"), Finding("b", "is damaged", "copy it again", "EOF")]
    error = pickle.loads(pickle.dumps(FindingsError(findings)))
    assert findings_of(error, FILE) == findings
    assert str(error) == "a: is empty; restore it\nb: is damaged (EOF); copy it again"


def test_an_error_is_given_its_file_by_a_caller_that_knows_it():
    error = InputError("has no Rows", advice="export it again", detail="IS").at(FILE)
    assert str(error) == f"{FILE}: has no Rows (IS); export it again"
    assert (error.where, error.what) == (str(FILE), "has no Rows")
