"""The risk of an additive model does not depend on other rows, and is calibrated for absent inputs.

Files restore it bit for bit, and damaged ones are refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from mgrisk import compiled as loops
from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.model import additive as module
from mgrisk.model.additive import FILE, Additive, Answer, Sampling
from mgrisk.model.missing_inputs import RIDGE, Lines, fit_moments
from mgrisk.model.splines import Term, design_columns

INPUTS = 12
# The first two are of one column each, linear; then curves of 3 to 5 knots, two knots, and a category of 3 levels.
OWNERS = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 10, 11])
TERMS = (
    Term(0.0, ()), Term(0.0, ()), Term(0.0, (-1.0, 0.0, 1.0)), Term(0.0, (-1.5, -0.5, 0.5, 1.5)),
    Term(0.0, (-2.0, -0.7, 0.0, 0.7, 2.0)), Term(0.0, (-1.0, 1.0)), Term(0.0, (-0.5, 0.25, 0.5)), Term(0.0, ()),
    Term(0.0, ()), Term(0.0, ()), Term(0.0, ()), Term(0.0, ()), Term(0.0, (-1.0, 0.1, 0.9)), Term(0.0, ()),
)  # fmt: skip


def people(n: int, *, seed: int = 0, absent: float = 0.3) -> np.ndarray:
    """Return encoded rows; the inputs go together, and what is absent is absent in all columns of an input."""
    random = np.random.default_rng(seed)
    common = random.normal(size=(n, 1))
    X = 0.7 * common + random.normal(size=(n, len(OWNERS)))
    X[:, 9:12] = np.eye(3)[np.clip(common[:, 0] + random.normal(size=n) + 1, 0, 2).astype(int)]
    X[:, 7] = X[:, 7] > 0
    X[(random.random((n, INPUTS)) < absent)[:, OWNERS]] = np.nan
    return X.astype(np.float32)


def alike(n: int, *, seed: int = 0) -> np.ndarray:
    """Return people of whom half lack what many others lack, in one of four patterns, the last of them nothing."""
    X, random = people(n, seed=seed), np.random.default_rng(seed + 1)
    patterns = np.array([[0, 3, 4, 9], [0, 3, 4, 10], [2, 5, 8, 9]])
    common, which = random.random(n) < 0.5, random.integers(0, 4, n)
    X[common] = people(n, seed=seed, absent=0.0)[common]
    for number, lacks in enumerate(patterns):
        X[np.ix_(common & (which == number), np.isin(OWNERS, lacks))] = np.nan
    return X


def made(seed: int = 1) -> Additive:
    random = np.random.default_rng(seed)
    moments = fit_moments(design_columns(TERMS, people(3000, seed=seed)), np.ones(3000))
    p = len(moments.mean)
    coefficients = random.normal(size=p) / moments.scale / 4
    lines = Lines.fit(-2.0 + 1.6 * np.sort(random.normal(size=41)))
    sampling = Sampling(random.normal(size=(p, 5)) / 20, random.normal(size=5) / 20, 0.01, 1.1, 40)
    return Additive(TERMS, OWNERS, -2.0, coefficients, moments, lines, sampling)


MODEL = made()
EVERY = [each.name for each in fields(Answer)]


def same(one: Answer, other: Answer, rows: Any = slice(None)) -> None:
    """Compare what is said of people bit for bit, the second being all of them and the first some."""
    for name in EVERY:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name)[..., rows], err_msg=name)


def fresh(model: Additive = MODEL) -> Additive:
    """Return the model as if it had met nobody."""
    return replace(model)


def test_with_nothing_absent_the_answer_is_that_of_the_full_model() -> None:
    X = people(600, absent=0.0)
    found = MODEL.answer(X)
    Z = design_columns(TERMS, X) - MODEL.moments.mean
    np.testing.assert_allclose(found.log_odds, MODEL.intercept + Z @ MODEL.coefficients, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(found.expected, found.log_odds)
    assert not found.unknown.any()
    assert (found.base == MODEL.intercept).all()
    assert MODEL.sampling is not None
    forms = MODEL.sampling.offset + Z @ MODEL.sampling.loadings
    np.testing.assert_allclose(found.variance, 0.01 + 1.1 * (forms**2).sum(axis=1), rtol=1e-9)


def test_base_and_contributions_add_up_to_the_log_odds_of_the_reported_risk() -> None:
    for n in (200, 3000):
        found = MODEL.answer(people(n))
        np.testing.assert_allclose(found.base + found.contributions.sum(axis=0), found.log_odds, rtol=0, atol=1e-9)
        assert len(np.unique(found.base)) > 100
    X = people(300)
    np.testing.assert_array_equal(MODEL.margin(X), MODEL.answer(X).log_odds)


def test_an_absent_input_contributes_exactly_nothing() -> None:
    for n in (200, 1000):
        X = people(n)
        found, absent = MODEL.answer(X).contributions, np.isnan(X[:, MODEL.first]).T
        assert 0.2 < absent.mean() < 0.4
        assert not found[absent].any()
        assert (found[~absent] != 0).mean() > 0.99


def test_what_is_expected_and_what_is_unknown_are_those_of_the_conditional_distribution() -> None:
    X = people(300)
    found, Z, moments = MODEL.answer(X), design_columns(TERMS, X), MODEL.moments
    for row in range(0, 300, 7):
        absent = np.isnan(Z[row])
        own = moments.covariance[np.ix_(~absent, ~absent)] + RIDGE * np.diag(moments.scale[~absent] ** 2)
        slope = np.linalg.solve(own, moments.covariance[np.ix_(~absent, absent)])
        full = np.where(absent, 0.0, Z[row] - moments.mean)
        full[absent] = full[~absent] @ slope
        left = moments.covariance[np.ix_(absent, absent)] - moments.covariance[np.ix_(absent, ~absent)] @ slope
        b = MODEL.coefficients[absent]
        assert found.expected[row] == pytest.approx(MODEL.intercept + full @ MODEL.coefficients, abs=1e-9)
        assert found.unknown[row] == pytest.approx(np.sqrt(b @ left @ b), rel=1e-9)
        slope_of_line, intercept = (each[0] for each in MODEL.lines.at(np.array([np.sqrt(b @ left @ b)])))
        assert found.log_odds[row] == pytest.approx(slope_of_line * found.expected[row] + intercept, abs=1e-9)
        assert MODEL.sampling is not None
        forms = MODEL.sampling.offset + full @ MODEL.sampling.loadings
        assert found.variance[row] == pytest.approx(0.01 + 1.1 * slope_of_line**2 * (forms**2).sum(), rel=1e-9)


def test_the_log_odds_of_an_expected_risk_are_the_line_of_who_lacks_the_same() -> None:
    X = people(500)
    found = MODEL.answer(X)
    np.testing.assert_allclose(MODEL.of_expected_risk(found.expected, X), found.log_odds, rtol=0, atol=1e-9)


@settings(max_examples=30)
@given(st.integers(0, 900), st.integers(0, 400), st.integers(0, 3))
def test_a_rows_answer_depends_neither_on_others_nor_on_their_order_nor_on_blocks(
    first: int, size: int, seed: int
) -> None:
    X = np.vstack([people(500, seed=5), alike(500, seed=5)])
    whole = MODEL.answer(X)
    part = slice(first, first + size)
    same(MODEL.answer(X[part]), whole, part)
    order = np.random.default_rng(seed).permutation(len(X))
    same(fresh().answer(X[order]), whole, order)
    same(MODEL.answer(np.asfortranarray(X)), whole)


@pytest.mark.parametrize("many", [people, alike])
@pytest.mark.parametrize("n", [0, 1, 63, 64, 65, 255, 256, 257, 1000])
def test_compiled_and_plain_code_give_the_same_bytes(
    monkeypatch: pytest.MonkeyPatch, n: int, many: Callable[..., np.ndarray]
) -> None:
    X = many(n, seed=2)
    X[: n // 3] *= np.float32(1e3)  # far beyond the outer knots
    chosen = MODEL.answer(X)
    monkeypatch.setattr(loops, "FEW_BYTES", -1)
    compiled = fresh().answer(X)
    monkeypatch.setattr(loops, "FEW_BYTES", 2**62)
    plain = fresh().answer(X)
    same(compiled, plain)
    same(chosen, plain)
    assert plain.log_odds.shape == (n,)


def test_few_people_are_worked_out_without_compiled_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("compiled code was called")

    monkeypatch.setattr(module, "many", never)
    monkeypatch.setattr(loops, "FEW_BYTES", 2**62)
    MODEL.answer(people(256))
    monkeypatch.setattr(loops, "FEW_BYTES", -1)
    with pytest.raises(AssertionError, match="compiled"):
        MODEL.answer(people(256))


def test_without_refits_there_is_no_sampling_error_and_all_else_is_the_same() -> None:
    plain = replace(MODEL, sampling=None)
    for n in (200, 1000):
        X = people(n)
        one, other = plain.answer(X), MODEL.answer(X)
        assert not one.variance.any()
        np.testing.assert_allclose(one.log_odds, other.log_odds, rtol=0, atol=1e-12)


def test_a_copy_with_other_sampling_error_tells_its_own() -> None:
    X = people(300)
    plain = replace(MODEL, sampling=None)
    plain.answer(X)
    same(replace(plain, sampling=MODEL.sampling).answer(X), fresh().answer(X))


@pytest.mark.parametrize("number", [0, 1, 7, 8, 11])
def test_an_input_that_is_what_was_expected_changes_nothing_but_what_is_unknown(number: int) -> None:
    column = int(np.flatnonzero(number == OWNERS)[0])
    place = int(np.flatnonzero(MODEL.of_input == number)[0])
    X = people(200).astype(np.float64)
    X[:, column] = np.nan
    before = MODEL.answer(X)
    X[:, column] = MODEL.moments.expected(design_columns(TERMS, X))[:, place]
    after = MODEL.answer(X)
    np.testing.assert_allclose(after.expected, before.expected, rtol=0, atol=1e-9)
    # But for what the ridge adds where the rest told it already.
    assert (after.unknown < 1.001 * before.unknown).all()
    assert after.unknown.mean() < before.unknown.mean()
    X[:, column] += 1.0
    assert np.abs(MODEL.answer(X).expected - before.expected).max() > 1e-2


def test_the_next_input_is_the_one_whose_knowledge_leaves_least_unknown() -> None:
    X = people(400, absent=0.5)
    X[:5] = people(5, absent=0.0)
    found, absent = MODEL.next_inputs(X), np.isnan(X[:, MODEL.first])
    assert found[:5].tolist() == [-1] * 5
    assert len(np.unique(found)) > 4

    def unknown(lacks: np.ndarray) -> float:
        return float(MODEL.moments.forms(MODEL.coefficients[:, None], lacks[MODEL.of_input])[1][0])

    for lacks, chosen in zip(absent[5:], found[5:], strict=True):
        left = {}
        gains = MODEL.gains(lacks)
        for number in np.flatnonzero(lacks):
            known = lacks.copy()
            known[number] = False
            left[int(number)] = unknown(known)
            assert gains[number] == pytest.approx(max(unknown(lacks) - left[int(number)], 0.0), rel=1e-6, abs=1e-9)
        assert not gains[~lacks].any()
        assert left[int(chosen)] == pytest.approx(min(left.values()), rel=1e-9)
    np.testing.assert_array_equal(fresh().next_inputs(X[::-1]), found[::-1])


def test_the_next_input_is_an_absent_one_even_where_none_tells_anything() -> None:
    nothing = replace(MODEL, coefficients=np.zeros_like(MODEL.coefficients))
    X = people(300, absent=0.5)
    found, absent = nothing.next_inputs(X), np.isnan(X[:, MODEL.first])
    some = absent.any(axis=1)
    assert absent[np.flatnonzero(some), found[some]].all()


def test_more_patterns_than_are_kept_change_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    X = people(2500, absent=0.5)
    assert len(np.unique(np.isnan(X), axis=0)) > 1000
    whole, asked = fresh().answer(X), fresh().next_inputs(X)
    monkeypatch.setattr(module, "MOST_ASKED", 100)
    model = fresh()
    for first in range(0, 2500, 90):
        part = slice(first, first + 90)
        same(model.answer(X[part]), whole, part)
        np.testing.assert_array_equal(model.next_inputs(X[part]), asked[part])
        assert len(model._next) <= 100


def test_answers_asked_for_at_the_same_time_are_those_asked_for_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    X = people(3000, seed=3, absent=0.5)
    whole, asked = fresh().answer(X), fresh().next_inputs(X)
    monkeypatch.setattr(module, "MOST_ASKED", 150)
    model = fresh()
    cuts = [*range(0, 3000, 75), 3000]

    def one(part: slice) -> tuple[slice, Answer, np.ndarray]:
        return part, model.answer(X[part]), model.next_inputs(X[part])

    with ThreadPoolExecutor(8) as pool:
        for part, answer, chosen in pool.map(one, [slice(a, b) for a, b in pairwise(cuts)]):
            same(answer, whole, part)
            np.testing.assert_array_equal(chosen, asked[part])


def test_what_others_ask_in_between_does_not_mix_up_the_next_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    X, others = people(50, seed=3, absent=0.5), people(60, seed=4, absent=0.5)
    asked = fresh().next_inputs(X)
    monkeypatch.setattr(module, "MOST_ASKED", 60)
    model = fresh()
    unique = np.unique

    def interrupted(*given: Any, **more: Any) -> Any:
        # The moment between finding the patterns and asking what is known of them.
        if "return_index" in more and "return_inverse" in more:
            monkeypatch.setattr(np, "unique", unique)
            model.next_inputs(others)
        return unique(*given, **more)

    monkeypatch.setattr(np, "unique", interrupted)
    np.testing.assert_array_equal(model.next_inputs(X), asked)


def test_a_variance_is_added_to_log_odds_that_are_stretched_afterwards() -> None:
    X = people(300)
    moved = MODEL.after(stretch=0.5, added=0.02)
    np.testing.assert_allclose(0.5**2 * moved.answer(X).variance, 0.5**2 * MODEL.answer(X).variance + 0.02, rtol=1e-9)
    np.testing.assert_array_equal(moved.margin(X), MODEL.margin(X))
    plain = replace(MODEL, sampling=None)
    assert plain.after(stretch=0.5, added=0.02) is plain


def test_the_risk_of_people_who_lack_inputs_is_unbiased_where_columns_are_normal() -> None:
    random, n = np.random.default_rng(8), 200_000
    unit = np.array([1.0, 10.0, 0.1, 1.0, 3.0, 1.0])
    Z = random.multivariate_normal(np.zeros(6), (0.4 + 0.6 * np.eye(6)) * np.outer(unit, unit), size=n)
    coefficients = np.array([0.5, 0.3, -0.25, 0.35, 0.2, 0.4]) / unit
    terms, moments = (Term(0.0, ()),) * 6, fit_moments(Z, np.ones(n))
    eta = -2.0 + (Z - moments.mean) @ coefficients
    lines = Lines.fit(np.quantile(eta, (np.arange(41) + 0.5) / 41))
    model = Additive(terms, np.arange(6), -2.0, coefficients, moments, lines)
    truth = expit(eta)
    for gone in ([0], [1, 4], [0, 1, 2, 3], [1, 2, 3, 4, 5]):
        X = Z.astype(np.float32)
        X[:, gone] = np.nan
        found = model.answer(X)
        risk = expit(found.log_odds)
        assert risk.mean() == pytest.approx(truth.mean(), rel=0.01), gone
        for fifth in np.array_split(np.argsort(risk), 5):
            assert risk[fifth].mean() == pytest.approx(truth[fifth].mean(), rel=0.06), gone
        # Not so the risk at the mean of the log-odds.
        assert found.unknown[0] < 0.4 or expit(found.expected).mean() < 0.98 * truth.mean()
        assert np.std(eta - found.expected) == pytest.approx(found.unknown[0], rel=0.05)


def test_files_give_it_back_bit_for_bit() -> None:
    X = people(1000)
    for model in (MODEL, replace(MODEL, sampling=None)):
        files = model.to_files()
        back = Additive.from_files(files, owners=OWNERS)
        same(back.answer(X), model.answer(X))
        assert back.to_files() == files
        np.testing.assert_array_equal(back.next_inputs(X), model.next_inputs(X))


CONTENT = json.loads(MODEL.to_files()[FILE])
Change = Callable[[dict[str, Any]], object]


def set_to(name: str, value: object) -> Change:
    return lambda content: content.__setitem__(name, value)


def within(name: str, place: Any, value: object) -> Change:
    return lambda content: content[name].__setitem__(place, value)


DAMAGE: dict[str, Change] = {
    "a list": lambda content: content.clear(),
    **{f"no {name}": (lambda content, name=name: content.pop(name)) for name in CONTENT},
    "fewer coefficients": lambda content: content["coefficients"].pop(),
    "coefficients in a table": lambda content: set_to("coefficients", [content["coefficients"]])(content),
    "coefficients are words": set_to("coefficients", ["x"] * 3),
    "fewer means": lambda content: content["mean"].pop(),
    "a covariance of fewer columns": lambda content: content["covariance"].pop(),
    "a covariance that is a number": set_to("covariance", 1.0),
    "a covariance of one number": set_to("covariance", [1.0]),
    "fewer terms": lambda content: content["knots"].pop(),
    "a term that is a number": within("knots", 2, 3.0),
    "a coefficient that is not a number": within("coefficients", 3, float("nan")),
    "a mean without end": within("mean", 3, float("inf")),
    "a covariance that is not a number": within("covariance", 3, float("nan")),
    "an intercept that is not a number": set_to("intercept", float("nan")),
    "an intercept too large to hold": set_to("intercept", 10**400),
    "no intercept at all": set_to("intercept", None),
    "knots that fall": within("knots", 2, [1.0, 0.0, -1.0]),
    "knots that coincide": within("knots", 2, [0.0, 0.0, 1.0]),
    "a knot that is not a number": within("knots", 2, [-1.0, 0.0, float("nan")]),
    "a knot without end": within("knots", 2, [-1.0, 0.0, float("inf")]),
    "a variance below nothing": within("covariance", 0, -1.0),
    "a variance barely below nothing": within("covariance", 0, -1e-9),
    "a correlation above one": within("covariance", 1, 1e3),
    "lines that do not increase": lambda content: content["lines"]["s"].__setitem__(1, 0.0),
    "lines of other lengths": lambda content: content["lines"]["slope"].pop(),
    "no lines": set_to("lines", {"s": [], "slope": [], "intercept": []}),
    "a line that is not a number": lambda content: content["lines"]["intercept"].__setitem__(2, float("nan")),
    "lines in a table": set_to("lines", {"s": [[0.0]], "slope": [[1.0]], "intercept": [[0.0]]}),
    "a sampling error of other columns": lambda content: content["sampling"]["loadings"].pop(),
    "a sampling error of more forms": lambda content: content["sampling"]["offset"].append(0.0),
    "a sampling error that is not a number": lambda content: content["sampling"]["offset"].__setitem__(0, float("nan")),
    "a sampling variance below nothing": lambda content: content["sampling"].__setitem__("factor", -1.0),
    "refits without end": lambda content: content["sampling"].__setitem__("replicates", float("inf")),
    "no refits": lambda content: content["sampling"].__setitem__("replicates", 0),
}


def refused(files: dict[str, bytes], owners: np.ndarray = OWNERS) -> None:
    with pytest.raises(MgRiskError) as caught:
        Additive.from_files(files, owners=owners)
    assert caught.value.code == "bundle.bad_model"
    assert caught.value.status == ExitStatus.BUNDLE


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_refused(damage: str) -> None:
    content = json.loads(MODEL.to_files()[FILE])
    DAMAGE[damage](content)
    refused({FILE: json.dumps(content).encode()})


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[1, 2]", b"null", MODEL.to_files()[FILE][:-40]], ids=range(5))
def test_a_file_that_is_no_model_is_refused(content: bytes) -> None:
    refused({FILE: content})
    refused({})


def test_a_file_of_other_columns_is_refused() -> None:
    refused(MODEL.to_files(), np.append(OWNERS, 12))
    refused(MODEL.to_files(), OWNERS[:-1])
