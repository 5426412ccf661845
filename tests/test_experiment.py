"""Experiments: evidence that holds at every look, shares that do not move, sizes that suffice."""

import itertools
import math
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.errors import LabError
from labkit.experiment import Counts, SequentialTest, assign, e_values, p_value, ratio_mismatch, sample_size


@pytest.mark.parametrize("side", ["greater", "either"])
def test_under_equal_shares_the_evidence_is_one_on_the_average(side: Literal["greater", "either"]) -> None:
    """Each block's factor, weighted with the probability of all its outcomes, has the mean 1 or less."""
    test = SequentialTest(side=side)
    test.look(Counts(10, 1), Counts(4, 2))
    before, mean, share, (old, new) = test.e_value, 0.0, 0.2, (6, 3)
    for hits_old, hits_new in itertools.product(range(old + 1), range(new + 1)):
        again = SequentialTest(side=side)
        again.look(Counts(10, 1), Counts(4, 2))
        factor = again.look(Counts(10 + old, 1 + hits_old), Counts(4 + new, 2 + hits_new)) / before
        hits, misses = hits_old + hits_new, old + new - hits_old - hits_new
        ways = math.comb(old, hits_old) * math.comb(new, hits_new)
        mean += factor * ways * share**hits * (1 - share) ** misses
    assert mean <= 1 + 1e-9


def test_looking_a_hundred_times_stays_within_alpha_and_peeking_does_not() -> None:
    """Of 2000 experiments of equal versions, at most 5 % end in a difference; peeking tells far more."""
    draw = np.random.default_rng(4)
    trials = np.full((2000, 100), 50)
    old, new = draw.binomial(trials, 0.05), draw.binomial(trials, 0.05)
    evidence = e_values(trials, old, trials, new, side="either")
    assert (evidence >= 20).any(axis=1).mean() <= 0.05
    totals = (range(50, 5001, 50), old.cumsum(axis=1), new.cumsum(axis=1))
    peeked = [
        any(p_value(Counts(n, a), Counts(n, b)) < 0.05 for n, a, b in zip(totals[0], x, y, strict=True))
        for x, y in zip(totals[1][:300].tolist(), totals[2][:300].tolist(), strict=True)
    ]
    assert np.mean(peeked) > 0.2


def test_one_test_by_one_agrees_with_many_at_once() -> None:
    """What a canary computes look by look is what the simulation computes for all looks."""
    draw = np.random.default_rng(7)
    old_trials, new_trials = draw.integers(0, 30, (1, 40)), draw.integers(0, 9, (1, 40))
    old, new = draw.binomial(old_trials, 0.01), draw.binomial(new_trials, 0.2)
    test, seen = SequentialTest(), []
    columns = (counts.cumsum(axis=1)[0].tolist() for counts in (old_trials, old, new_trials, new))
    for trials_o, hits_o, trials_n, hits_n in zip(*columns, strict=True):
        seen.append(test.look(Counts(trials_o, hits_o), Counts(trials_n, hits_n)))
    assert seen == pytest.approx(e_values(old_trials, old, new_trials, new)[0].tolist())
    assert test.decided


def test_a_canary_that_is_better_is_no_evidence_against_it() -> None:
    """Only more errors than before count against a new version; a comparison finds the difference."""
    worse, other = SequentialTest(0.05), SequentialTest(0.05, "either")
    for look in range(1, 50):
        for test in (worse, other):
            test.look(Counts(20 * look, 4 * look), Counts(20 * look, 0))
    assert worse.e_value <= 1 + 1e-9
    assert other.decided


def test_a_version_with_nobody_beside_it_is_compared_with_before_or_with_the_objective() -> None:
    """A few failures in a row are enough, however much is known; without an objective nothing is compared."""
    for before in (Counts(0, 0), Counts(3, 0), Counts(5000, 20)):
        test, blind = SequentialTest(objective=0.01), SequentialTest()
        for one in (test, blind):
            one.look(before, Counts(0, 0))
            for failed in range(1, 5):
                one.look(before, Counts(failed, failed))
        assert (test.decided, blind.e_value) == (True, 1)


@pytest.mark.parametrize(
    ("share", "before"), [(0.01, 0), (0.001, 300), (0.05, 2000), (0.02, 5), (0.02, 50), (0.02, 300)]
)
def test_alone_as_good_as_before_or_as_the_objective_is_seldom_a_false_alarm(
    share: float, before: int
) -> None:
    """Of 150 versions that are equal to the one before, or keep the objective of 1 %, hardly one is found."""
    draw, alarms = np.random.default_rng(8), 0
    for _ in range(150):
        test, old, trials, hits = SequentialTest(objective=0.01), draw.binomial(before, share), 0, 0
        test.look(Counts(before, int(old)), Counts(0, 0))
        for more in draw.binomial(5, share, 200):
            trials, hits = trials + 5, hits + int(more)
            test.look(Counts(before, int(old)), Counts(trials, hits))
            if test.decided:
                alarms += 1
                break
    assert alarms <= 4


def test_counts_that_cannot_be_are_refused() -> None:
    """More hits than trials, or fewer than at the look before, are an error of the one who counts."""
    with pytest.raises(LabError, match="hits"):
        Counts(3, 4)
    test = SequentialTest()
    test.look(Counts(5, 1), Counts(5, 1))
    with pytest.raises(LabError):
        test.look(Counts(4, 1), Counts(5, 1))
    with pytest.raises(LabError, match="alpha"):
        SequentialTest(0)
    with pytest.raises(LabError, match="objective"):
        SequentialTest(objective=0)


@given(st.text(), st.text(), st.floats(0, 1), st.floats(0, 1))
def test_a_growing_share_takes_nobody_out(key: str, experiment: str, one: float, two: float) -> None:
    """Whoever had the new version at a smaller share has it at a larger one, and always the same."""
    small, large = sorted((one, two))
    before = assign(key, experiment, {"new": small, "old": 1 - small})
    after = assign(key, experiment, {"new": large, "old": 1 - large})
    assert (before, after) != ("new", "old")
    assert after == assign(key, experiment, {"new": large, "old": 1 - large})


def test_shares_are_kept_and_experiments_do_not_depend_on_each_other() -> None:
    """A tenth is a tenth, and of two experiments the tenths overlap in a hundredth of all."""
    shares = {"new": 0.1, "old": 0.9}
    one, two = (
        {str(key) for key in range(20_000) if assign(str(key), name, shares) == "new"} for name in ("a", "b")
    )
    assert len(one) == pytest.approx(2000, abs=200)
    assert len(one & two) == pytest.approx(200, abs=60)
    with pytest.raises(LabError, match="together 1"):
        assign("key", "a", {"new": 0.5})


def test_a_wrong_ratio_is_found_and_a_right_one_is_not() -> None:
    """52 to 48 is found within 20,000 users; a fair split of as many is no finding."""
    shares = {"a": 0.5, "b": 0.5}
    assert ratio_mismatch({"a": 10_400, "b": 9_600}, shares) < 0.001
    assert ratio_mismatch({"a": 10_030, "b": 9_970}, shares) > 0.05
    assert ratio_mismatch({"a": 0, "b": 0}, shares) == 1
    with pytest.raises(LabError, match="same versions"):
        ratio_mismatch({"a": 1}, shares)


def test_the_size_of_an_experiment_has_the_power_it_promises() -> None:
    """So many trials find the difference in about the share of experiments that was asked for."""
    size = sample_size(0.05, 0.075)
    draw = np.random.default_rng(3)
    old, new = draw.binomial(size, 0.05, 2000).tolist(), draw.binomial(size, 0.075, 2000).tolist()
    differ = [p_value(Counts(size, a), Counts(size, b)) < 0.05 for a, b in zip(old, new, strict=True)]
    assert np.mean(differ) == pytest.approx(0.8, abs=0.04)
    assert sample_size(0.05, 0.06) > size
    with pytest.raises(LabError, match="different"):
        sample_size(0.05, 0.05)
