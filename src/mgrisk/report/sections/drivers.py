"""Section on what drives the predicted risk among the held-out people, and how stable that is.

Importance by feature and by group of features, with correlated features; stability under refitting, as ranks and
largest contributions; agreement with other models, other cycles and in subgroups.
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

CORRELATED: Final = 0.5  # rank correlation from which two features are not interpreted alone
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
                "A grouped SHAP value (log-odds) treats all features of a group as one input; it is the sum of "
                "their Owen values. The table also has the sum of the features' own SHAP values. The two differ "
                "where features of different groups interact."
            ),
            _bars(group_records(run), people),
            *_correlated(people),
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
        caption="Weighted mean of the absolute grouped SHAP value, log-odds, with 95 % interval, made as that of a single feature.",
        alt=f"Bar chart of the importance of groups; the largest are {first}",
        data={"bars": bars},
        behind=table(
            "importance-groups-table",
            "Importance of groups of features",
            [
                column("Group", numeric=False),
                column("Features", numeric=False),
                column("Mean |grouped SHAP value|, log-odds (95 % interval)"),
                column("Mean |sum of the features' SHAP values|"),
            ],
            rows,
        ),
    )


def _correlated(people: ExplainedPeople) -> list[Block]:
    """Show which features are correlated so strongly that neither may be interpreted alone."""
    found = []
    numbers = [feature for feature in people.features if feature.kind == "number"]
    for one, other in combinations(numbers, 2):
        first, second = (people.data[each.name].to_numpy(dtype=np.float64) for each in (one, other))
        correlation = rank_correlation(first, second, people.weight)
        if correlation is not None and abs(correlation) >= CORRELATED:
            found.append((one, other, correlation))
    if not found:
        return [text(f"No two numeric features have a rank correlation of {CORRELATED} or more in absolute value.")]
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
            f"Do not interpret one of these features alone: {'; '.join(names)}. They are correlated, and how a "
            "model divides the information they share may change with another sample.",
            tone="warning",
        ),
        table(
            "correlated",
            f"Pairs of numeric features with a weighted rank correlation of {CORRELATED} or more in absolute value, held-out people",
            columns,
            rows,
        ),
    ]


STABLE: Final = "Stability of explanations under refitting"


def stability(run: RunFolder, records: list[Importance]) -> Section:
    """Describe how importance and the largest contributions vary over refits of the model.

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
        "Refits of the reported model: do the largest contributions of held-out people stay the same?",
        [
            column("What changes", numeric=False),
            column("Refits"),
            column("Same largest contribution"),
            column("Three largest in common"),
            column("Same largest contribution in all"),
            column("Lowest correlation of log-odds"),
        ],
        rows,
        notes=[
            f"Weighted shares of people. {_seed_note(ways)}",
            "In strata of two PSUs a bootstrap sample holds half of the people, so contributions differ more than between two full samples.",
        ],
    )
    ranks = table(
        "stability-ranks",
        "Rank by importance: range over samples of people and over refits",
        [
            column("Feature", numeric=False),
            column("Rank"),
            column("95 % range over samples of people, same model"),
            *(column(way.label) for way in ways),
        ],
        [_ranks_by_refit(record, ways) for record in records],
        folded=True,
    )
    said = text(
        "The model was refitted on bootstrap samples of the PSUs, without one fold, and with other seeds, with the "
        "same settings, scales and calibration. The table of people shows for each person in how many of these "
        "refits the largest contribution is that of the same feature.",
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


AGREE: Final = 0.8  # share of people with the same largest contribution from which two models are said to agree


def agreement(run: RunFolder, records: list[Importance]) -> Section:
    """Describe how far importance agrees between models, cycles and subgroups.

    Parameters
    ----------
    files
        Of the run.
    records
        Importance records of the held-out set, most important first.
    """
    return section(
        "drivers-agreement",
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
        "Rank of each feature by importance, and its range over 500 bootstrap samples of PSUs",
        [
            column("Feature", numeric=False),
            column("Rank"),
            column("95 % range"),
            column("Among the three most important"),
            column("Range over models"),
        ],
        rows,
        notes=[
            "The 95 % range shows how the order depends on which people were sampled to be explained; the model is "
            "the same in all samples. The range over models shows how it depends on the algorithm."
        ],
        folded=True,
    )


def _rank_range(ranks: RankRange) -> str:
    return f"{number(ranks.low, digits=0)} to {number(ranks.high, digits=0)}"


def _learners(run: RunFolder, records: list[Importance]) -> list[Block]:
    compared, across = run.explanation.agreement, run.explanation.across_learners
    if not compared:
        return [text("The run has one model, so there is no other to compare contributions with.")]
    winner = model_label(run.winner)
    sentences = [
        f"{model_label(each.learner)} and {winner} have the same largest contribution for "
        f"{percent(each.same_first, digits=0)} of the population and {percent(each.in_common, digits=0)} of the "
        "three largest in common."
        for each in compared
    ]
    if len(compared) > 1 and across:
        always = percent(across.always_first, digits=0)
        sentences.append(
            f"All {len(compared) + 1} models have the same largest contribution for {always} of the population."
        )
    if min(each.same_first for each in compared) < AGREE:
        sentences.append(
            "The largest contributions of a person therefore depend on the model: another that predicts as well may give others."
        )
    columns = [column("Model", numeric=False), column("Same largest contribution"), column("Three largest in common"),
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
            "agreement",
            f"Agreement of the largest contributions with {winner}, held-out people, weighted",
            columns,
            rows,
        ),
        table(
            "agreement-features",
            f"Correlation of each feature's contributions with those of {winner}",
            [column("Feature", numeric=False), *(column(model_label(each.learner)) for each in compared)],
            by_feature,
            notes=[
                "A correlation can be low where two features are correlated and each model divides their shared information in its own way."
            ],
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
                notes=["Groups of fewer than 30 people are not shown (NCHS)."],
                folded=True,
            )
        )
    return blocks


def _importance(record: SubgroupImportance) -> str:
    return "too few" if record.problem else interval(record.size, digits=2)


RARE, LARGE = 0.01, 0.4  # share of the development set; log-odds, an odds ratio of 1.5
NO_EFFECT: Final = (
    "A contribution describes how this model uses a value in its prediction. It is not an effect: changing the "
    "value would not change a person's risk by that amount."
)
OF_ABSENT: Final = (
    "In an additive model a missing input contributes 0. Inputs that are correlated with it carry its information, "
    "and the base value is that of people with the same inputs missing."
)
WHOM: Final = "held-out people"
OF_THIS_MODEL: Final = (
    "The interval reflects sampling of the people explained, for this fitted model. That another development "
    "sample would give another model is not included."
)
OF_REFITS: Final = (
    "The interval covers sampling of the people explained and sampling of the development people: refits of the "
    "model under bootstrap weights of the PSUs, widened for penalisation as the interval of a person is."
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
        f"The SHAP values of {learner} are in log-odds of the reported risk and are called contributions below; the "
        "reference is the whole weighted development population. The base value and the contributions of a person "
        "add up to the log-odds of the reported risk (largest error over all people: "
        f"{run.explanation.largest_additivity_error:.1e}). Importance is the weighted mean of the absolute "
        "contribution.",
        OF_ABSENT,
    )
    return SECTION.of(
        [
            intro,
            callout(NO_EFFECT),
            *_rarely_missing(run, people),
            importance_figure(records, people, whom=WHOM, interval_of=interval_of(people)),
            swarm_figure(records, people, whom=WHOM),
            _level_table(people),
        ],
        sections=[groups(run, people), stability(run, records), agreement(run, records), *estimators(run)],
    )


def importance_records(run: RunFolder) -> list[Importance]:
    """Return the importance records of the held-out set, most important first."""
    records = [record for record in run.explanation.features if record.set == HELD_OUT]
    return sorted(records, key=lambda record: -record.importance)


def _rarely_missing(run: RunFolder, people: ExplainedPeople) -> list[Block]:
    """Warn of missing values that move a risk far although hardly anybody of the development set lacked them."""
    warnings = []
    for place, feature in enumerate(people.features):
        unknown = people.data[feature.name].isna().to_numpy()
        missing_share = float(run.reference[feature.name]["missing"])
        if not unknown.any() or missing_share >= RARE:
            continue
        mean = float(np.average(people.contributions[unknown, place], weights=people.weight[unknown]))
        if abs(mean) >= LARGE:
            warnings.append(
                f"Where {feature.label} is missing, the log-odds change by {number(mean, digits=2, signed=True)} on "
                f"average, an estimate that rests on {percent(missing_share, digits=2)} of the development people. "
                f"Do not rely on such a risk ({count(int(unknown.sum()))} held-out people)."
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
