"""Does an ordinal likelihood of the markers serve better than the normal one? docs/what-was-tried.md has the answer.

    python tools/try_ordinal.py RUN     # a finished run of pipelines/undiagnosed.toml

One spline basis and the run's own folds. Margins of the label by logistic regression; of log HbA1c and log glucose by
ridge; and of both markers by cumulative logits at several cuts that share their slopes. Penalties by cross-validated
weighted log loss; sums of margins are scaled and calibrated on the other folds. The held-out cycle is not opened.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.linear_model import LogisticRegression, Ridge

from mgrisk.cohort.select import DEVELOPMENT
from mgrisk.config.pipeline_file import load
from mgrisk.evaluate.intervals import paired_differences, with_intervals
from mgrisk.evaluate.metrics import log_loss
from mgrisk.model.learners import Encoder, mean_one
from mgrisk.model.splines import SplineDesign, expand
from mgrisk.model.stacking import fit_scales
from mgrisk.pipeline.workspace import Workspace

CUTS = {"hba1c_percent": [5.3, 5.5, 5.7, 6.0, 6.5], "glucose_mg_dl": [95.0, 100.0, 105.0, 110.0, 126.0]}
Fit = Callable[[np.ndarray, np.ndarray, np.ndarray], Callable[[np.ndarray], np.ndarray]]


def binary(c: float) -> Fit:
    def fit(Z: np.ndarray, value: np.ndarray, weight: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        model = LogisticRegression(C=c, max_iter=300).fit(Z, value, sample_weight=weight)
        return lambda new: new @ model.coef_[0]

    return fit


def normal(alpha: float) -> Fit:
    def fit(Z: np.ndarray, value: np.ndarray, weight: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        return Ridge(alpha=alpha).fit(Z, np.log(value), sample_weight=weight).predict  # type: ignore[no-any-return]

    return fit


def ordinal(c: float, cuts: list[float]) -> Fit:
    def fit(Z: np.ndarray, value: np.ndarray, weight: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        # One row for each person and cut; an indicator of the cut, hardly penalised, is its intercept.
        marks = np.repeat(np.eye(len(cuts)) * 10, len(Z), axis=0)
        above = np.concatenate([value >= cut for cut in cuts])
        model = LogisticRegression(C=c / len(cuts), max_iter=300).fit(
            np.column_stack([np.tile(Z, (len(cuts), 1)), marks]), above, sample_weight=np.tile(weight, len(cuts))
        )
        return lambda new: new @ model.coef_[0][: Z.shape[1]]

    return fit


def main(run: Path) -> None:
    workspace = Workspace(load(run / "resolved.toml"), run)
    people = workspace.people(DEVELOPMENT)
    fold, y, weight = workspace.fold(people), people.y, people.design.analysis_weight
    encoder, measured = Encoder(workspace.model_features), pd.read_parquet(run / "targets.parquet")
    labels: dict[str, tuple[np.ndarray, np.ndarray]] = {"label": (y, weight)}
    for name in CUTS:
        own = measured.loc[measured["target"] == name, ["SEQN", "value", "weight"]].rename(columns={"weight": "own"})
        joined = people.rows[["SEQN"]].merge(own, on="SEQN", how="left")
        labels[name] = np.exp(joined["value"].to_numpy()), joined["own"].fillna(0.0).to_numpy()
    rows = np.flatnonzero(np.any([own > 0 for _, own in labels.values()], axis=0))
    X = np.full((len(y), len(encoder.columns)), np.nan, dtype=np.float32)
    X[rows] = encoder.matrix(people.frame.iloc[rows])
    inside, folds = weight > 0, np.unique(fold[weight > 0])

    def out_of_fold(fit: Fit, name: str) -> np.ndarray:
        value, own = labels[name]
        margin = np.zeros(len(y))
        for k in folds:
            training, unseen = np.flatnonzero((own > 0) & (fold != k)), np.flatnonzero(inside & (fold == k))
            design = SplineDesign.build(X[training], mean_one(own[training]), columns=encoder.columns, knots=4)
            predict = fit(design.matrix, value[training], mean_one(own[training]))
            margin[unseen] = predict((expand(design.terms, X[unseen]) - design.centre) / design.scale)
        return margin

    def risk(margins: list[np.ndarray]) -> np.ndarray:
        found = np.full(len(y), np.nan)
        for k in folds:
            unseen = inside & (fold == k)
            scales = fit_scales(margins, y, people.design.where(fold != k))
            total = sum(scale * margin[unseen] for scale, margin in zip(scales.scales, margins, strict=True))
            found[unseen] = expit(scales.intercept + total)
        return found

    def best(fits: list[Fit], name: str) -> np.ndarray:
        margins = [out_of_fold(fit, name) for fit in fits]
        losses = [log_loss(y[inside], risk([margin])[inside], weight[inside]) for margin in margins]
        return margins[int(np.argmin(losses))]

    label = best([binary(c) for c in (0.003, 0.01, 0.03, 0.1)], "label")
    normals = [best([normal(alpha) for alpha in (10.0, 100.0, 1000.0)], name) for name in CUTS]
    ordinals = [best([ordinal(c, cuts) for c in (0.003, 0.03, 0.3)], name) for name, cuts in CUTS.items()]
    risks: dict[str, Any] = {
        "label": risk([label]),
        "markers, normal": risk(normals),
        "markers, ordinal": risk(ordinals),
        "label and normal": risk([label, *normals]),
        "label and ordinal": risk([label, *ordinals]),
        "all": risk([label, *normals, *ordinals]),
    }
    metrics = ("auroc", "log_loss")
    columns = ["model", "metric", "estimate", "low", "high"]
    print(pd.DataFrame(with_intervals(y, risks, people.design, metrics=metrics))[columns].to_string(index=False))
    less = paired_differences(y, risks, people.design, reference="label and normal", metrics=metrics)
    print(pd.DataFrame(less)[columns].to_string(index=False))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
