"""Section on what drives the predicted risk among the held-out people, and how stable that is.

Importance by feature and by group of features, with what is correlated; stability under refitting, as ranks and first
reasons; agreement with other models, other cycles and in subgroups.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, Final

import numpy as np

from mgrisk.cohort.select import HELD_OUT
from mgrisk.features.registry import FEATURES
from mgrisk.report.blocks import ABSENT, Block, Section, callout, column, figure, missing, row, section, table, text
from mgrisk.report.explained import ExplainedPeople, explained_people, rank_correlation
from mgrisk.report.formats import count, interval, level_label, model_label, number, percent
from mgrisk.report.sections import ReportSection
from mgrisk.report.sections.candidates import estimators
from mgrisk.report.sections.importance import importance_figure, swarm_figure
from mgrisk.run_folder import names
from mgrisk.run_folder.folder import RunFolder
from mgrisk.run_folder.records import GroupImportance, Importance, RankRange, Refits, SubgroupImportance
from mgrisk.types import JsonRecord

TRAVEL: Final = 0.5  # rank correlation from which two features are not read apart
GROUPS: Final = {
    "magnesium": "Magnesium, all features together",
    "diet": "Diet without magnesium",
    "activity": "Activity",
    "body": "Body size",
    "background": "Background",
    "depletion": "Magnesium depletion score and its parts, none of which measures magnesium",
    "marker": "Markers",
}


def groups(run: RunFolder, people: ExplainedPeople) -> Section:
    """Describe the groups of features, and the correlations that make them necessary."""
    return section(
        "drivers-groups",
        "Grouped SHAP values",
        [
            text(
                "The SHAP value (log-odds) of a group is that of all its features entering together (what the Owen values of "
                "its features sum to). Beside it stands the sum of the features' own values: the two differ where features "
                "of two groups interact."
            ),
            _bars(group_records(run), people),
            *_travel(people),
        ],
    )


def group_records(run: RunFolder) -> list[GroupImportance]:
    """Return the records of groups among the held-out people, most important first."""
    records = [record for record in run.explanation.groups if record.set == HELD_OUT]
    return sorted(records, key=lambda record: -record.importance)


def _bars(records: list[GroupImportance], people: ExplainedPeople) -> Block:
    sizes = [
        people.importance([feature.name for feature in people.family(record.group)], estimate=record.importance)
        for record in records
    ]
    rows = [
        row(
            [
                GROUPS[record.group],
                ", ".join(feature.label for feature in people.family(record.group)),
                interval(size),
                number(record.summed),
            ],
            {**vars(record), **size.bounds},
        )
        for record, size in zip(records, sizes, strict=True)
    ]
    bars = [
        {
            **vars(record),
            **size.bounds,
            "label": GROUPS[record.group],
            "direction": None,
        }
        for record, size in zip(records, sizes, strict=True)
    ]
    first = ", ".join(f"{bar['label']} {number(bar['importance'], digits=2)}" for bar in bars[:3])
    return figure(
        "importance-groups",
        "importance",
        "Mean |SHAP value| of each group, held-out people",
        caption=f"Weighted mean of the absolute grouped SHAP value, log-odds, with 95 % interval. {interval_of(people)}",
        alt=f"Bar chart of the importance of groups; the largest are {first}",
        data={"bars": bars},
        behind=table(
            "importance-groups-table",
            "Importance of groups of features",
            [
                column("Group", numeric=False),
                column("Features", numeric=False),
                column("Mean |grouped SHAP value|, log-odds (95 % interval)"),
                column("Sum of the features' own values"),
            ],
            rows,
        ),
    )


def _travel(people: ExplainedPeople) -> list[Block]:
    """Show which features go together so closely that neither may be read alone."""
    found = []
    numbers = [feature for feature in people.features if feature.kind == "number"]
    for one, other in combinations(numbers, 2):
        first, second = (people.data[each.name].to_numpy(dtype=np.float64) for each in (one, other))
        correlation = rank_correlation(first, second, people.weight)
        if correlation is not None and abs(correlation) >= TRAVEL:
            found.append((one, other, correlation))
    if not found:
        return [text(f"No two numbers among the features have a rank correlation of {TRAVEL} or more.")]
    found.sort(key=lambda pair: -abs(pair[2]))
    rows = [
        row(
            [one.label, other.label, number(value, digits=2, signed=True)],
            {"first": one.name, "second": other.name, "correlation": value},
        )
        for one, other, value in found
    ]
    names = list(dict.fromkeys(each.label for pair in found for each in pair[:2]))
    columns = [column("Feature", numeric=False), column("Correlated with", numeric=False), column("Rank correlation")]
    return [
        callout(
            f"Do not read one of these alone: {', '.join(names)}. Correlated features share information, and how a "
            "model divides it among them may change with the next sample.",
            tone="warning",
        ),
        table(
            "travel", f"Features with a weighted rank correlation of {TRAVEL} or more, held-out people", columns, rows
        ),
    ]


STABLE: Final = "Stability of explanations under refitting"


def stability(run: RunFolder, records: list[Importance]) -> Section:
    """Describe what refits of the model make of importance and of first reasons.

    Parameters
    ----------
    files
        Of the run.
    records
        Importance of the features, the largest first.
    """
    if not run.has(names.STABILITY):
        reason = "the run has no refits of its model: they came with a later version"
        return missing("stability", STABLE, reason, status=ABSENT)
    ways = run.stability.ways
    rows = [
        row(
            [
                way.label,
                str(way.refits),
                percent(way.same_first),
                percent(way.in_common),
                percent(way.always_first),
                number(way.log_odds, digits=3),
            ],
            {name: getattr(way, name) for name in ("refits", "same_first", "in_common", "always_first", "log_odds")},
        )
        for way in ways
    ]
    shares = table(
        "stability-ways",
        "Refits of the reported model, and whether the reasons of held-out people stay",
        [
            column("What changes", numeric=False),
            column("Refits"),
            column("Same first reason"),
            column("First three in common"),
            column("Same first reason in all"),
            column("Lowest correlation of log-odds"),
        ],
        rows,
        notes=[
            f"Weighted shares of people. {_seed_note(ways)}",
            "A refit on redrawn PSUs has in two-PSU strata half the sample: reasons move more than two whole samples would make them.",
        ],
    )
    ranks = table(
        "stability-ranks",
        "Rank of importance over the people, and over refits",
        [
            column("Feature", numeric=False),
            column("Rank"),
            column("Other people, same model (95 %)"),
            *(column(way.label) for way in ways),
        ],
        [_ranks_by_refit(record, ways) for record in records],
        folded=True,
    )
    said = text(
        "The model was fitted again on other draws of the sampling units, without one fold, and with other seeds; settings, scales and calibration were held. "
        "In the table of people each person's first reason says in how many of these refits it stays.",
    )
    return section("stability", STABLE, [said, shares, ranks])


def _ranks_by_refit(record: Importance, ways: Sequence[Refits]) -> JsonRecord:
    name = record.feature
    cells = [
        record.label,
        number(record.rank, digits=0),
        _refit_range(RankRange(record.rank_low, record.rank_high)),
    ]
    cells += [_refit_range(way.ranks[name]) for way in ways]
    raw = {way.way: vars(way.ranks[name]) for way in ways}
    return row(cells, {"feature": name, "rank": record.rank, **raw})


def _refit_range(ranks: RankRange) -> str:
    return number(ranks.low, digits=0) if ranks.low == ranks.high else _rank_range(ranks)


def _seed_note(ways: Sequence[Refits]) -> str:
    still = [way for way in ways if way.way == "seed" and way.moved == 0.0]
    return "Nothing in this algorithm is random: another seed gives the same fit." if still else ""


FIRM: Final = 0.8  # share of people with the same first reason from which two learners are said to agree


def story(run: RunFolder, records: list[Importance]) -> Section:
    """Describe how far the drivers hold for other people and by other learners.

    Parameters
    ----------
    files
        Of the run.
    records
        Importance records of the held-out set, most important first.
    """
    return section(
        "drivers-story",
        "Agreement between models, cycles and subgroups",
        [*_learners(run, records), _ranks_elsewhere(run, records), *_subgroups(run, records)],
    )


def _ranks_elsewhere(run: RunFolder, records: list[Importance]) -> Block:
    across = run.explanation.across_learners
    rows = [
        row(
            [
                record.label,
                number(record.rank, digits=0),
                _rank_range(RankRange(record.rank_low, record.rank_high)),
                percent(record.among_first, digits=0),
                _rank_range(across.ranks[record.feature]) if across else "one model",
            ],
            vars(record),
        )
        for record in records
    ]
    return table(
        "ranks",
        "Rank of each feature's importance, and its range over 500 redrawn samples of PSUs",
        [
            column("Feature", numeric=False),
            column("Rank"),
            column("95 % range"),
            column("Among the first three"),
            column("Range over models"),
        ],
        rows,
        notes=[
            "The model is the same in all samples: the 95 % range says how the order depends on who was drawn to be explained, "
            "not on who was drawn to train on. The range over models says how it depends on the algorithm."
        ],
        folded=True,
    )


def _rank_range(ranks: RankRange) -> str:
    return f"{number(ranks.low, digits=0)} to {number(ranks.high, digits=0)}"


def _learners(run: RunFolder, records: list[Importance]) -> list[Block]:
    compared, across = run.explanation.agreement, run.explanation.across_learners
    if not compared:
        return [text("The run has one model: there is no other to compare its reasons with.")]
    winner = model_label(run.winner)
    sentences = [
        f"{model_label(each.learner)} gives {percent(each.same_first, digits=0)} of the population the same first "
        f"reason as {winner} and has {percent(each.in_common, digits=0)} of the first three reasons in common."
        for each in compared
    ]
    if len(compared) > 1 and across:
        always = percent(across.always_first, digits=0)
        sentences.append(f"{always} of the population have the same first reason by all {len(compared) + 1} models.")
    if min(each.same_first for each in compared) < FIRM:
        sentences.append(
            "So a person's reasons are those of this model, and another one that predicts as well may differ."
        )
    columns = [column("Model", numeric=False), column("Same first reason"), column("First three in common"),
               column("Correlation of log-odds"), column("Rank correlation of importance")]  # fmt: skip
    rows = [
        row(
            [
                model_label(each.learner),
                percent(each.same_first, digits=0),
                percent(each.in_common, digits=0),
                number(each.log_odds, digits=2),
                number(each.importance, digits=2),
            ],
            vars(each),
        )
        for each in compared
    ]
    by_feature = [
        row(
            [record.label, *(_correlation(each.features[record.feature]) for each in compared)],
            {each.learner: each.features[record.feature] for each in compared},
        )
        for record in records
    ]
    return [
        text(*sentences),
        table(
            "agreement", f"Agreement of reasons with {winner}: other models, held-out people, weighted", columns, rows
        ),
        table(
            "agreement-features",
            f"Correlation of each feature's contributions with those of {winner}",
            [column("Feature", numeric=False), *(column(model_label(each.learner)) for each in compared)],
            by_feature,
            notes=["Low where two features are correlated and each model divides what they share in its own way."],
            folded=True,
        ),
    ]


def _correlation(value: float | None) -> str:
    return "not used" if value is None else number(value, digits=2)


def _subgroups(run: RunFolder, records: list[Importance]) -> list[Block]:
    found: dict[str, dict[str, dict[str, SubgroupImportance]]] = {}
    for record in run.explanation.subgroups:
        found.setdefault(record.by, {}).setdefault(record.level, {})[record.feature] = record
    blocks = []
    for by, levels in found.items():
        label = FEATURES[by].label
        rows = [
            row(
                [record.label, *(_importance(of_level[record.feature]) for of_level in levels.values())],
                {level: vars(of_level[record.feature]) for level, of_level in levels.items()},
            )
            for record in records
        ]
        named = [
            column(f"{level_label(level)} (n = {next(iter(of_level.values())).n:,})")
            for level, of_level in levels.items()
        ]
        blocks.append(
            table(
                f"subgroups-{by}",
                f"Mean |SHAP value| by {label.lower()}, held-out people (95 % interval)",
                [column("Feature", numeric=False), *named],
                rows,
                notes=["Not shown for fewer than 30 people (NCHS)."],
                folded=True,
            )
        )
    return blocks


def _importance(record: SubgroupImportance) -> str:
    return "too few" if record.problem else interval(record.size, digits=2)


THIN_SHARE, LARGE = 0.01, 0.4  # share of the development set; log-odds, an odds ratio of 1.5
NO_EFFECT: Final = (
    "A contribution says how this model uses a value for its prediction. It is no effect: changing the value would not "
    "change a person's risk by that amount."
)
OF_ABSENT: Final = (
    "In an additive model an input that is absent contributes nothing. What it would have told is credited to the inputs "
    "that tell of it, and the base value is that of people who lack the same."
)
WHOM: Final = "held-out people"
OF_THIS_MODEL: Final = (
    "The interval is that of this fitted model over a population of people; another training sample would give other "
    "contributions, and that is not in it."
)
OF_REFITS: Final = (
    "The interval holds both who was drawn to be explained and, over refits of the model under bootstrap weights of the "
    "PSUs, who was drawn to develop the model, widened for penalisation as a person's interval is."
)


def interval_of(people: ExplainedPeople) -> str:
    """Say what the interval of an importance is of."""
    return OF_THIS_MODEL if people.errors is None else OF_REFITS


def drivers(run: RunFolder) -> Section:
    """Describe the contributions of all features among the held-out people."""
    records = importance_records(run)
    people = explained_people(run)
    learner = model_label(run.winner)
    intro = text(
        f"SHAP values of {learner} in log-odds of the reported risk (contributions, below), against the whole weighted "
        "development population. For each person they add up, with the base value, to the logit of the reported risk "
        f"(largest error over all people: {run.explanation.largest_additivity_error:.1e}). Importance is "
        "the "
        "weighted mean of the absolute contribution.",
        OF_ABSENT,
    )
    return SECTION.of(
        [
            intro,
            callout(NO_EFFECT),
            *_thin_ground(run, people),
            importance_figure(records, people, whom=WHOM, interval_of=interval_of(people)),
            swarm_figure(records, people, whom=WHOM),
            _level_table(people),
        ],
        sections=[groups(run, people), stability(run, records), story(run, records), *estimators(run)],
    )


def importance_records(run: RunFolder) -> list[Importance]:
    """Return the importance records of the held-out set, most important first."""
    records = [record for record in run.explanation.features if record.set == HELD_OUT]
    return sorted(records, key=lambda record: -record.importance)


def _thin_ground(run: RunFolder, people: ExplainedPeople) -> list[Block]:
    """Warn of missing values that move a risk far although hardly anybody of the development set lacked them."""
    warnings = []
    for place, feature in enumerate(people.features):
        unknown = people.data[feature.name].isna().to_numpy()
        learned_from = float(run.reference[feature.name]["missing"])
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


SECTION = ReportSection("drivers", "What drives the predicted risk", drivers)
