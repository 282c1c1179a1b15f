from fuzzing import fuzz


def test_a_hundred_damaged_inputs_end_in_words(monkeypatch):
    """``make fuzz`` runs 2,000 inputs, also of real studies."""
    monkeypatch.delenv("PROSTATE_REAL_DATA", raising=False)
    outcomes = fuzz(100, seed=1)
    assert outcomes.total() == 100
    assert sum(count for (validated, _), count in outcomes.items() if validated) > 20
