"""What drives the predicted risk among the held-out people, and where its ground is thin."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from mgrisk.cohort.select import DEVELOPMENT, HELD_OUT
from mgrisk.report.blocks import Block, Section, callout, column, row, section, table, text
from mgrisk.report.content_dependence import dependence
from mgrisk.report.content_groups import groups
from mgrisk.report.content_importance import importance_figure, swarm_figure
from mgrisk.report.content_stability import stability
from mgrisk.report.content_story import story
from mgrisk.report.explained import ExplainedPeople, explained_people
from mgrisk.report.formats import count, level_label, model_label, number, percent
from mgrisk.report.run_files import Record, RunFiles

THIN_SHARE, LARGE = 0.01, 0.4  # share of the development set; log-odds, an odds ratio of 1.5
NO_EFFECT: Final = (
    "A contribution says how this model uses a value for its prediction. It is no effect: changing the value would not "
    "change a person's risk by that amount."
)
DRAWN: Final = 4
WHOM: Final = "held-out people"
OF_THIS_MODEL: Final = (
    "The interval is that of this fitted model over a population of people; another training sample would give other "
    "contributions, and that is not in it."
)


def drivers(files: RunFiles) -> Section:
    """Describe the contributions of all features among the held-out people."""
    records = importance_records(files)
    people = explained_people(files)
    learner = model_label(files.winner)
    intro = text(
        f"Shapley values of {learner} on the scale of the reported risk's log-odds, against the whole weighted "
        "development population. For each person they add up, with the base value, to the logit of the reported risk "
        f"(largest error over everybody: {files.explanation_summary['largest_additivity_error']:.1e}). Importance is "
        "the "
        "weighted mean of the absolute contribution.",
    )
    return section(
        "drivers",
        "What drives the predicted risk",
        [
            intro,
            callout(NO_EFFECT),
            *_thin_ground(files, people),
            importance_figure(records, whom=WHOM, interval_of=OF_THIS_MODEL),
            swarm_figure(records, people, whom=WHOM),
            *_along(files, people, records),
            _level_table(people),
        ],
        sections=[groups(files, people), stability(files, records), story(files, records)],
    )


def _along(files: RunFiles, people: ExplainedPeople, records: list[Record]) -> list[Block]:
    """Draw the contributions of the numbers that move risks most; those of magnesium have a section of their own."""
    named = {feature.name: feature for feature in people.features}
    numbers = [named[record["feature"]] for record in records if named[record["feature"]].kind == "number"]
    drawn = [feature for feature in numbers if feature.group != "magnesium"][:DRAWN]
    made_on = explained_people(files, DEVELOPMENT)
    return [dependence(people, made_on, [feature], feature) for feature in drawn]


def importance_records(files: RunFiles) -> list[Record]:
    """Return the importance records of the held-out set, most important first."""
    records = [record for record in files.explanation_summary["features"] if record["set"] == HELD_OUT]
    return sorted(records, key=lambda record: -record["importance"])


def _thin_ground(files: RunFiles, people: ExplainedPeople) -> list[Block]:
    """Warn of missing values that move a risk far although hardly anybody of the development set lacked them."""
    warnings = []
    for place, feature in enumerate(people.features):
        unknown = people.data[feature.name].isna().to_numpy()
        learned_from = float(files.reference[feature.name]["missing"])
        if not unknown.any() or learned_from >= THIN_SHARE:
            continue
        mean = float(np.average(people.contributions[unknown, place], weights=people.weight[unknown]))
        if abs(mean) >= LARGE:
            warnings.append(
                f"Where {feature.label} is missing, the model moves the log-odds by "
                f"{number(mean, digits=2, signed=True)}, which "
                f"it learned from {percent(learned_from, digits=2)} of the development people. Do not trust such a "
                "risk "
                f"({count(int(unknown.sum()))} held-out people)."
            )
    return [callout(sentence, tone="warning") for sentence in warnings]


def _level_table(people: ExplainedPeople) -> Block:
    rows = []
    for place, feature in enumerate(people.features):
        values, contribution = people.data[feature.name], people.contributions[:, place]
        levels: list[tuple[str, Any]] = [(level, (values == level).to_numpy()) for level in feature.levels]
        for level, here in [*levels, ("missing", values.isna().to_numpy())]:
            if not here.any():
                continue
            share = float(people.weight[here].sum() / people.weight.sum())
            mean = float(np.average(contribution[here], weights=people.weight[here]))
            cells = [feature.label, level_label(level), percent(share), number(mean, signed=True)]
            rows.append(row(cells, {"feature": feature.name, "level": level, "share": share, "mean": mean}))
    return table(
        "levels",
        "Mean contribution of each category and of a missing value, held-out people",
        [
            column("Feature", numeric=False),
            column("Level", numeric=False),
            column("Share"),
            column("Mean contribution, log-odds"),
        ],
        rows,
        folded=True,
    )
