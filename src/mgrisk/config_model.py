"""The section [model] of a pipeline file: which learners compete, on which features, and what each may try."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

# What a grid may hold: at least one value, and none that no learner can use.
Counts = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]
Positive = Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)]
NotNegative = Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(min_length=1)]


class Closed(BaseModel):
    """A section: frozen, and without a key that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class Splines(Closed):
    """Penalised regression on restricted cubic splines."""

    knots: int = Field(default=4, ge=3, le=7, description="Knots of each spline, at Harrell's quantiles")
    c: Positive = Field(default=(0.003, 0.01, 0.03, 0.1, 0.3, 1.0), description="Inverse penalties tried")


class XGBoost(Closed):
    """Gradient-boosted trees; the grid is tried whole."""

    depth: Counts = (2, 3)
    learning_rate: Positive = (0.05,)
    trees: Counts = Field(default=(50, 100, 150, 200, 300, 400), description="Ensemble sizes read off one fit")
    min_child_weight: NotNegative = (5.0, 20.0)
    l2: NotNegative = (5.0,)
    subsample: float = Field(default=0.7, gt=0, le=1)
    columns: float = Field(default=0.6, gt=0, le=1, description="Share of columns offered to a tree")


class MonotoneXGBoost(XGBoost):
    """Gradient-boosted trees that may not bend the wrong way."""

    monotone: dict[str, Literal[1, -1]] = Field(
        min_length=1, description="By feature: 1, the risk never falls with it; -1, it never rises"
    )


class RandomForest(Closed):
    """A random forest, grown by xgboost."""

    depth: Counts = (6,)
    min_child_weight: NotNegative = (2.0,)
    trees: int = Field(default=200, ge=1, le=1000)
    subsample: float = Field(default=0.6, gt=0, le=1)
    columns: float = Field(default=0.3, gt=0, le=1, description="Share of columns offered to a split")


class ExplainableBoosting(Closed):
    """An explainable boosting machine; needs the extra `ebm`."""

    rounds: Counts = (50, 100, 200)
    interactions: tuple[Annotated[int, Field(ge=0)], ...] = Field(default=(0, 10), min_length=1)
    learning_rate: float = Field(default=0.05, gt=0, le=1)
    bins: int = Field(default=64, ge=2, le=1024)


class Tuning(Closed):
    """How the settings of tree ensembles are found."""

    trials: int = Field(
        default=0,
        ge=0,
        le=1000,
        description="0: every combination of the grid; else trials of Optuna within its bounds",
    )
    seed: int = Field(default=1, ge=0)


class Uncertainty(Closed):
    """Refits under bootstrap weights of the PSUs, for the interval of a person's risk."""

    replicates: int = Field(
        default=50, ge=2, le=1000, description="Each fits the winner once for each fold and once whole"
    )
    seed: int = Field(default=1, ge=0)


class Model(Closed):
    """Which learners compete, on which features, and which sums of them."""

    features: tuple[str, ...] = Field(min_length=1, description="Rows of features/registry/")
    leave_out: tuple[str, ...] = Field(
        default=(),
        description="Features that the model must not read, nor anything made of them; race_ethnicity, for example",
    )
    seed: int = Field(default=1, ge=0)
    spline_logistic: Splines | None = Field(default=None, description="Spline regression on the outcome")
    spline_linear: Splines | None = Field(default=None, description="Spline regression on continuous targets")
    xgboost: XGBoost | None = None
    xgboost_monotone: MonotoneXGBoost | None = None
    random_forest: RandomForest | None = None
    explainable_boosting: ExplainableBoosting | None = None
    tuning: Tuning = Tuning()
    sums: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], Annotated[tuple[str, ...], Field(min_length=1)]] = (
        Field(
            default={},
            description="Further models, each a sum of parts: a learner on the outcome, or learner:marker on the "
            "logarithm of a marker that the outcome names as its target",
        )
    )
    uncertainty: Uncertainty | None = Field(
        default=None, description="Left out: a person's interval holds the error of the calibration alone"
    )

    @model_validator(mode="after")
    def _some_learner(self) -> Model:
        learners = ("spline_logistic", "xgboost", "xgboost_monotone", "random_forest", "explainable_boosting")
        if all(getattr(self, name) is None for name in learners):
            raise ValueError(f"no learner: give a section of {', '.join(f'[model.{name}]' for name in learners)}")
        bound = self.xgboost_monotone.monotone if self.xgboost_monotone else {}
        strange = sorted(set(bound) - set(self.features))
        if strange:
            raise ValueError(f"xgboost_monotone.monotone: {strange[0]} is not among the features")
        taken = [name for name in self.sums if name in type(self).model_fields]
        if taken:
            raise ValueError(f"a sum cannot have the name {taken[0]}")
        return self

    @property
    def targets(self) -> tuple[str, ...]:
        """The markers that sums learn from, each once."""
        parts = (part for parts in self.sums.values() for part in parts)
        return tuple(dict.fromkeys(part.partition(":")[2] for part in parts if ":" in part))
