"""Estimators that were given to the run in Python: what they are, their performance, and importance of their features."""

from __future__ import annotations

from typing import Final

from mgrisk.report.blocks import Block, Section, callout, column, row, section, table
from mgrisk.report.formats import count, interval, model_label, number, percent
from mgrisk.run_folder.folder import RunFolder

NAME: Final = "drivers-candidates"


def not_bundled(run: RunFolder) -> list[Block]:
    """Say that a bundle cannot hold the estimators; nothing where there are none."""
    names = [model_label(each.name) for each in run.candidates]
    if not names:
        return []
    best = run.tuning.models[run.winner].log_loss
    losses = "; ".join(f"{model_label(each.name)} {number(each.log_loss, digits=4)}" for each in run.candidates)
    return [
        callout(
            f"Estimators given in Python: {', '.join(names)}. A bundle cannot hold them; the bundle of this run "
            f"holds {model_label(run.winner)}, chosen among the other models. Cross-validated log loss: {losses}; "
            f"{model_label(run.winner)} {number(best, digits=4)}."
        )
    ]


def estimators(run: RunFolder) -> list[Section]:
    """Describe the estimators and the importance of their features; nothing where there are none."""
    found = list(run.candidates)
    if not found:
        return []
    chosen = model_label(run.winner)
    rows = [
        row(
            [
                model_label(each.name),
                each.estimator,
                "yes" if each.weighted else "in the calibration alone",
                number(each.log_loss, digits=4),
                percent(each.agreement.same_first, digits=0),
                number(each.agreement.log_odds, digits=2),
            ],
            {"name": each.name, "identity": each.identity, "log_loss": each.log_loss},
        )
        for each in found
    ]
    columns = [
        column("Name", numeric=False), column("Estimator", numeric=False), column("Survey weights", numeric=False),
        column("Log loss, cross-validated"), column(f"Same largest contribution as {chosen}"),
        column("Correlation of log-odds"),
    ]  # fmt: skip
    labels = {record.feature: record.label for each in found for record in each.features}
    by_name = [{record.feature: record for record in each.features} for each in found]
    importance = [
        row(
            [label, *(interval(of[feature].size) for of in by_name)],
            {
                "feature": feature,
                **{each.name: of[feature].importance for each, of in zip(found, by_name, strict=True)},
            },
        )
        for feature, label in labels.items()
    ]
    told = table(f"{NAME}-table", "Estimators given in Python, on the folds of the run", columns, rows)
    sizes = table(
        f"{NAME}-importance",
        "Mean absolute SHAP value of each feature, log-odds (95 % interval)",
        [column("Feature", numeric=False), *(column(model_label(each.name)) for each in found)],
        importance,
        notes=[
            f"SHAP values were estimated by permutation for {count(found[0].explained)} randomly drawn held-out "
            f"people, with {count(found[0].background)} development people as the reference. They are less precise "
            "than those of the chosen model, which are exact and cover all people."
        ],
    )
    return [section(NAME, "Estimators given in Python", [told, sizes])]
