from __future__ import annotations

from mgrisk.report.figures import flow, forest, specifications

POINT = {"label": "Cohorts", "kind": "published", "estimate": 0.86, "low": 0.82, "high": 0.89}


def test_an_undefined_estimate_keeps_its_row() -> None:
    nothing = {**POINT, "label": "Trial", "estimate": None, "low": None, "high": None}
    axes = forest({"x_label": "RR", "null": 1.0, "points": [POINT, nothing]}).axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["Cohorts", "Trial"]
    assert len(axes.lines) == 3  # the null, an interval, an estimate


def test_each_kind_has_a_look_of_its_own() -> None:
    other = {**POINT, "kind": "corrected"}
    axes = forest({"x_label": "RR", "null": 1.0, "points": [POINT, other]}).axes[0]
    assert len({line.get_color() for line in axes.lines[1:]}) == 2


def test_ticks_are_round_numbers_in_reach() -> None:
    for low, high in ((0.8, 1.05), (0.3, 3.0), (0.97, 1.03), (0.05, 20.0)):
        point = {**POINT, "estimate": (low * high) ** 0.5, "low": low, "high": high}
        ticks = forest({"x_label": "RR", "null": 1.0, "points": [point]}).axes[0].get_xticks()
        assert 2 <= len(ticks) <= 8
        assert min(ticks) >= 0.85 * low
        assert max(ticks) <= 1.15 * high


def test_a_specification_has_a_mark_at_each_of_its_choices() -> None:
    point = {"estimate": 0.8, "low": 0.6, "high": 1.1}
    data = {
        "y_label": "Odds ratio",
        "points": [point | {"choices": ["few", "all"]}, point | {"choices": ["many", "all"]}],
        "panels": [{"title": "Adjusted for", "levels": ["few", "many"]}, {"title": "People", "levels": ["all"]}],
    }
    curve, below = specifications(data).axes
    assert len(curve.get_lines()[-1].get_xdata()) == 2
    marks = [[float(x) for x in line.get_xdata()] for line in below.get_lines()[:3]]
    assert marks == [[0.0], [1.0], [0.0, 1.0]]
    assert [label.get_text() for label in below.get_yticklabels()] == ["few", "many", "all"]


def test_a_flow_names_who_remains_and_who_was_excluded() -> None:
    steps = [{"label": "all", "n": 1200, "excluded": 0}, {"label": "adults", "n": 900, "excluded": 300}]
    (axes,) = flow({"steps": steps}).axes
    assert [text.get_text() for text in axes.texts if text.get_text()] == [
        "all: 1,200", "adults: 900", "300 excluded",
    ]  # fmt: skip
