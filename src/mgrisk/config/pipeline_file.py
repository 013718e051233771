"""Read pipeline files, and check them before any data are read.

One TOML file defines one run. `Pipeline` has its sections, for example `Model` with the candidate algorithms, their
features and tuning grids. Unknown keys are refused, with the nearest known one. `extends = "nhanes.toml"` takes another
file as the base, and `--set key=value` is applied last.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mgrisk.config.toml import read_toml
from mgrisk.errors import MgRiskError, usage

# A grid has at least one value, and only values that the algorithms accept.
Counts = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]
Positive = Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)]
NotNegative = Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(min_length=1)]

Seed = Annotated[int, Field(ge=0, lt=2**31)]  # the range that every library accepts
Column = Annotated[str, Field(min_length=1)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
# MLflow stores names as single lines, and would refuse longer ones only at the end of the run.
Line = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f-\x9f]*$", max_length=250)]


def _twice(names: Sequence[str]) -> str:
    """Return the first name that is there twice, or an empty text."""
    return next((name for place, name in enumerate(names) if name in names[:place]), "")


class Closed(BaseModel):
    """A frozen section that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class Splines(Closed):
    """Penalised regression on restricted cubic splines."""

    knots: int = Field(default=4, ge=3, le=7, description="Knots of each spline, at Harrell's quantiles")
    c: Positive = Field(default=(0.003, 0.01, 0.03, 0.1, 0.3, 1.0), description="Inverse penalties to try")


class XGBoost(Closed):
    """Gradient-boosted trees; all combinations of the grid are tried."""

    depth: Counts = (2, 3)
    learning_rate: Positive = (0.05,)
    trees: Counts = Field(default=(50, 100, 150, 200, 300, 400), description="Numbers of trees, evaluated from one fit")
    min_child_weight: NotNegative = (5.0, 20.0)
    l2: NotNegative = (5.0,)
    subsample: float = Field(default=0.7, gt=0, le=1)
    columns: float = Field(default=0.6, gt=0, le=1, description="Share of columns sampled per tree")


class MonotoneXGBoost(XGBoost):
    """Gradient-boosted trees with monotone constraints."""

    monotone: dict[str, Literal[1, -1]] = Field(
        min_length=1, description="By feature: 1, the risk never falls with it; -1, it never rises"
    )


class RandomForest(Closed):
    """A random forest, grown by xgboost."""

    depth: Counts = (6,)
    min_child_weight: NotNegative = (2.0,)
    trees: int = Field(default=200, ge=1, le=1000)
    subsample: float = Field(default=0.6, gt=0, le=1)
    columns: float = Field(default=0.3, gt=0, le=1, description="Share of columns sampled per split")


class ExplainableBoosting(Closed):
    """An explainable boosting machine; needs the extra `ebm`."""

    rounds: Counts = (50, 100, 200)
    interactions: tuple[Annotated[int, Field(ge=0)], ...] = Field(default=(0, 10), min_length=1)
    learning_rate: float = Field(default=0.05, gt=0, le=1)
    bins: int = Field(default=64, ge=2, le=1024)


class Tuning(Closed):
    """How tree ensembles are tuned."""

    trials: int = Field(
        default=0,
        ge=0,
        le=1000,
        description="0: every combination of the grid; otherwise the number of Optuna trials within its bounds",
    )
    seed: Seed = 1


class Uncertainty(Closed):
    """Refits under bootstrap weights of the PSUs, for the interval of a person's risk."""

    replicates: int = Field(
        default=50, ge=2, le=1000, description="Refits; each fits the chosen model once per fold and once on all people"
    )
    draws: int = Field(
        default=12,
        ge=0,
        le=200,
        description="Outcomes simulated from known risks, to measure the coverage of the interval and widen it; "
        "each fits the chosen model once per fold and once on all people. 0: the bootstrap interval alone",
    )
    seed: Seed = 1


class Model(Closed):
    """Candidate algorithms, their features, and stacked ensembles of them."""

    features: tuple[str, ...] = Field(min_length=1, description="Rows of features/registry/")
    leave_out: tuple[str, ...] = Field(
        default=(),
        description="Features that the model must not use, directly or derived; race_ethnicity, for example",
    )
    seed: Seed = 1
    spline_logistic: Splines | None = Field(default=None, description="Spline regression on the outcome")
    spline_linear: Splines | None = Field(default=None, description="Spline regression on continuous targets")
    xgboost: XGBoost | None = None
    xgboost_monotone: MonotoneXGBoost | None = None
    random_forest: RandomForest | None = None
    explainable_boosting: ExplainableBoosting | None = None
    tuning: Tuning = Tuning()
    sums: dict[Name, Annotated[tuple[str, ...], Field(min_length=1)]] = Field(
        default={},
        description="Stacked ensembles, each a sum of parts: an algorithm fitted to the outcome, or algorithm:marker "
        "fitted to the logarithm of a marker that the outcome names as a target",
    )
    choose: str | None = Field(
        default=None,
        description="Model to explain and to bundle, a section or an ensemble. By default the best additive one, "
        "unless another has a lower log loss by more than chance",
    )
    uncertainty: Uncertainty | None = Field(
        default=None, description="Without it, a person's interval has the error of calibration alone"
    )

    @model_validator(mode="after")
    def _some_learner(self) -> Model:
        if twice := _twice(self.features):
            raise ValueError(f"features: {twice} is there twice")
        learners = ("spline_logistic", "xgboost", "xgboost_monotone", "random_forest", "explainable_boosting")
        if all(getattr(self, name) is None for name in learners):
            raise ValueError(f"no algorithm: give a section of {', '.join(f'[model.{name}]' for name in learners)}")
        if len({spline.knots for spline in self.splines}) > 1:
            raise ValueError("spline_logistic.knots and spline_linear.knots differ: spline models share their columns")
        bound = self.xgboost_monotone.monotone if self.xgboost_monotone else {}
        strange = sorted(set(bound) - set(self.features))
        if strange:
            raise ValueError(f"xgboost_monotone.monotone: {strange[0]} is not among the features")
        taken = [name for name in self.sums if name in type(self).model_fields]
        if taken:
            raise ValueError(f"sums: an ensemble cannot have the name {taken[0]}")
        given = [name for name in (*learners, "spline_linear") if getattr(self, name) is not None]
        parts = {part.partition(":")[0] for parts in self.sums.values() for part in parts}
        if unknown := sorted(parts - set(given)):
            raise ValueError(f"sums: there is no algorithm {unknown[0]}; there are {', '.join(given)}")
        known = [name for name in learners if getattr(self, name) is not None] + list(self.sums)
        if self.choose is not None and self.choose not in known:
            raise ValueError(f"choose: there is no model {self.choose}; there are {', '.join(known)}")
        return self

    @property
    def splines(self) -> tuple[Splines, ...]:
        """The sections of spline models."""
        return tuple(each for each in (self.spline_logistic, self.spline_linear) if each is not None)

    @property
    def targets(self) -> tuple[str, ...]:
        """The markers that parts of ensembles are fitted to, each once."""
        parts = (part for parts in self.sums.values() for part in parts)
        return tuple(dict.fromkeys(part.partition(":")[2] for part in parts if ":" in part))


class Synthetic(Closed):
    """A synthetic cohort, instead of a source."""

    people_per_cycle: int = Field(default=4000, ge=200, le=100_000, description="People of all ages in a cycle")
    seed: Seed = 20240101


class Own(Closed):
    """A cohort from the user's file, instead of NHANES; it needs no survey design."""

    file: str = Field(min_length=1, description="CSV or Parquet, in the format of the scoring file or with a mapping")
    mapping: str = Field(default="", description="Mapping file, as for `mgrisk map`: columns, units, codes")
    data: str = Field(
        pattern=r"^[^\x00-\x1f]{1,80}$",
        description="Name of the data in all files and the report; SYNTHETIC for made-up people",
    )
    outcome: Column = Field(description="Column of the outcome: 1, yes or true; 0, no or false; or empty")
    label: str = Field(default="", description="Label of the outcome, if it is not that of cohort.outcome")
    definition: str = Field(default="", description="Definition of a case; needed with label")
    warning: str = Field(default="", description="Warning shown wherever the outcome is reported")
    prediabetes: Column | None = Field(
        default=None,
        description="Column of people with prediabetes: AUROC is also given with them excluded from the controls",
    )
    period: Column | None = Field(
        default=None, description="Column of the period; its values are named in development and held_out"
    )
    held_out_share: float | None = Field(
        default=None, gt=0, lt=1, description="Without period: share of people held out at random"
    )
    held_out_by: Column | None = Field(
        default=None, description="Column whose values are held out as a whole, with held_out_share (the sampling unit)"
    )
    weight: Column | None = Field(default=None, description="Column of the sampling weight")
    strata: Column | None = Field(default=None, description="Column of the variance stratum")
    psu: Column | None = Field(
        default=None, description="Column of the sampling unit: a clinic, or the person if people have several rows"
    )

    @model_validator(mode="after")
    def _told(self) -> Own:
        if self.file == "-":
            raise ValueError("file: a run reads it more than once, so it cannot be standard input")
        if self.data == "NHANES":
            raise ValueError("data: NHANES is reserved for the tables that mgrisk reads; give another name")
        if (self.period is None) == (self.held_out_share is None):
            raise ValueError("give period, whose later values are held out, or held_out_share, held out at random")
        if self.held_out_by and self.period:
            raise ValueError("held_out_by goes with held_out_share, not with period")
        if bool(self.label) != bool(self.definition):
            raise ValueError("label and definition of the outcome are given together")
        return self


def dated(periods: Iterable[str]) -> bool:
    """Return whether all periods begin with a year, so that alphabetical order is chronological.

    Examples
    --------
    >>> dated(["2014", "2015-07"]), dated(["baseline", "follow-up"])
    (True, False)
    """
    return all(re.match(r"[0-9]{4}(?![0-9])", period) for period in periods)


RANDOM: Final = ("development", "held-out")
"""Names of the two sets of a file whose held-out people are drawn at random."""


class Cohort(Closed):
    """Eligibility, outcome, and development and held-out cycles."""

    outcome: str = Field(default="undiagnosed", description="A row of cohort/outcomes.toml")
    minimum_age: int = Field(default=20, ge=20, le=80, description="Minimum age in years, at least 20")
    development: tuple[str, ...] = Field(
        min_length=1, description="Development cycles, or periods of the file of [own]"
    )
    held_out: tuple[str, ...] = Field(min_length=1, description="Later cycles, used for the evaluation only")
    across_breaks: tuple[str, ...] = Field(
        default=(), description="Breaks of nhanes/eras.toml across which this run pools; the report names them"
    )
    crosswalks: tuple[str, ...] = Field(
        default=(),
        description="Breaks of nhanes/eras.toml before which values are converted by CDC's equation; reported",
    )
    folds: int = Field(default=5, ge=2, le=20)
    seed: Seed = 1

    @model_validator(mode="after")
    def _later_and_apart(self) -> Cohort:
        for name in ("development", "held_out"):
            if twice := _twice(getattr(self, name)):
                raise ValueError(f"{name}: {twice} is there twice")
        overlap = set(self.development) & set(self.held_out)
        if overlap:
            raise ValueError(f"cycles both in development and held out: {sorted(overlap)}")
        if dated((*self.development, *self.held_out)) and min(self.held_out) < max(self.development):
            raise ValueError(f"the held-out cycles must be later than {max(self.development)}")
        return self


class Evidence(Closed):
    """The chapter on magnesium: associations in the cycles of the run, with published estimates."""

    outcomes: tuple[str, ...] = Field(default=(), description="Rows of evidence/outcomes.toml; empty: all of them")
    across_breaks: tuple[str, ...] = Field(
        default=(),
        description="Breaks of nhanes/eras.toml across which the chapter pools, with an intercept for each cycle",
    )


class Sensitivity(Closed):
    """Sensitivity analyses of choices in the main run."""

    imputations: int = Field(
        default=5, ge=2, le=100, description="Imputed data sets on which the chosen model is refitted, fold by fold"
    )
    seed: Seed = 1


class Gate(Closed):
    """Checks in held-out people that a new version must pass to get the alias."""

    observed_expected: tuple[float, float] = Field(default=(0.8, 1.25), description="Range, unless the interval has 1")
    calibration_slope: tuple[float, float] = Field(default=(0.8, 1.25), description="Range, unless the interval has 1")
    auroc_loss: float = Field(default=0.01, ge=0, description="Allowed decrease of AUROC from the previous version")


class Tracking(Closed):
    """Tracking of the run in MLflow."""

    uri: Line = Field(
        default="", description="MLflow tracking URI; empty: MLFLOW_TRACKING_URI, else mlflow.db beside the run folder"
    )
    artifacts: Line = Field(
        default="", description="Artifact location of a database without a server; empty: mlartifacts beside the run"
    )
    experiment: Line = "mgrisk"
    register_as: str = Field(
        default="", max_length=200, description="Name in the model registry; empty: the name of the pipeline"
    )
    alias: str = Field(default="champion", pattern=r"^[a-z][a-z0-9_-]*$", max_length=100)
    people: bool = Field(
        default=False,
        description="Whether files with a row per person are logged in MLflow: explanations, and the report's table of "
        "people",
    )
    gate: Gate = Gate()

    @model_validator(mode="after")
    def _names_of_the_registry(self) -> Tracking:
        if not self.experiment.strip():
            raise ValueError("experiment: the name is empty")
        if not re.fullmatch(r"(\w[\w. -]*)?", self.register_as):
            raise ValueError("register_as: use letters, digits, blanks and _ . - only; no slash, colon or @")
        # MLflow reserves two of these; `challenger` is the alias of a version that failed the checks.
        if self.alias in {"latest", "challenger"} or re.fullmatch(r"v\d+", self.alias):
            raise ValueError(f"alias: {self.alias} is reserved in the registry; use another name")
        return self

    @model_validator(mode="after")
    def _no_password(self) -> Tracking:
        # The section is written to the run folder and logged.
        if urlsplit(self.uri).password is not None:
            raise ValueError("uri: it contains a password; give the address in MLFLOW_TRACKING_URI instead")
        return self


Section = Literal["title", "synthetic", "own", "cohort", "model", "evidence", "sensitivity", "tracking"]


class Pipeline(Closed):
    """The complete configuration of a run."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: str
    source: str = Field(default="", description="Folder or base URL of the raw tables; empty: MGRISK_NHANES or CDC")
    threads: int = Field(default=2, ge=1, le=256)
    synthetic: Synthetic | None = None
    own: Own | None = None
    cohort: Cohort
    model: Model
    evidence: Evidence | None = None
    sensitivity: Sensitivity | None = None
    tracking: Tracking = Tracking()

    @model_validator(mode="before")
    @classmethod
    def _registered_under_its_name(cls, content: Any) -> Any:
        """Set the registered name to the name of the run, unless another one is given."""
        if not isinstance(content, Mapping) or not isinstance(tracking := content.get("tracking", {}), Mapping):
            return content
        name = tracking.get("register_as") or content.get("name", "")
        return {**content, "tracking": {**tracking, "register_as": name}}

    @model_validator(mode="before")
    @classmethod
    def _drawn_at_random(cls, content: Any) -> Any:
        """Set the names of the two sets of a file without a period."""
        match content:
            case {"own": {"held_out_share": _}, "cohort": dict() as cohort}:
                sets = {"development": (RANDOM[0],), "held_out": (RANDOM[1],)}
                return {**content, "cohort": sets | cohort}
        return content

    @model_validator(mode="after")
    def _own_alone(self) -> Pipeline:
        if self.own is None:
            return self
        if self.own.period is None and (*self.cohort.development, *self.cohort.held_out) != RANDOM:
            raise ValueError("cohort.development and cohort.held_out name values of own.period, which is not given")
        beside = {
            "[synthetic]": self.synthetic,
            "source": self.source,
            "[evidence]": self.evidence,
            "cohort.across_breaks": self.cohort.across_breaks,
            "cohort.crosswalks": self.cohort.crosswalks,
            "an ensemble with a marker in [model.sums]": self.model.targets,
        }
        for name, value in beside.items():
            if value:
                raise ValueError(f"{name} needs the tables of NHANES and cannot be used with [own]")
        return self

    @property
    def decisive(self) -> tuple[Section, ...]:
        """The sections that a trained model depends on."""
        return ("cohort", "model") if self.own is None else ("cohort", "model", "own")

    def to_toml(self) -> str:
        """Return the whole resolved configuration as TOML, defaults written out."""
        return tomli_w.dumps(_without_none(self.model_dump(mode="json")))

    def digest(self, *sections: Section) -> str:
        """Return the sha256 of the named sections, on which a step depends."""
        content = {name: self.model_dump(mode="json")[name] for name in sections}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def load(path: Path | str, *, overrides: Sequence[str] = ()) -> Pipeline:
    """Read a pipeline file.

    Parameters
    ----------
    path
        TOML file; its `extends` names another one, by a relative path.
    overrides
        `key=value` with dotted keys, as for `--set`; a value is TOML, or else a bare string.

    Raises
    ------
    MgRiskError
        `config.missing_file`, `config.not_toml`, `config.unknown_key`, `config.bad_value`, `config.bad_override`.
    """
    content = read_merged(Path(path))
    for item in overrides:
        _override(content, item)
    try:
        return Pipeline.model_validate(content)
    except ValidationError as problem:
        raise _explain(problem, str(path)) from None


def read_merged(path: Path, *, seen: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Return the unchecked content of a pipeline file, merged over the files it extends.

    Raises
    ------
    MgRiskError
        As `load`, except for keys and values; `config.circle`.
    """
    hint = "give the path of a .toml file, for example pipelines/demo.toml"
    content = read_toml(path, kind="pipeline", prefix="config", hint=hint)
    # Resolved after reading, since a path that is not a file may not resolve.
    if path.resolve() in seen:
        raise usage("config.circle", "a pipeline file extends itself", where=str(path), hint="remove one `extends`")
    base = content.pop("extends", None)
    if base is None:
        return content
    return _merge(read_merged(path.parent / str(base), seen=(*seen, path.resolve())), content)


def _merge(base: dict[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in change.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return merged


def _override(content: dict[str, Any], item: str) -> None:
    key, sign, text = item.partition("=")
    if not sign or not key.strip():
        raise usage(
            "config.bad_override",
            "not of the form key=value",
            where=f"--set {item}",
            hint="for example cohort.folds=4",
        )
    try:
        value: Any = tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        value = text
    *parents, last = key.strip().split(".")
    for parent in parents:
        content = content.setdefault(parent, {})
        if not isinstance(content, dict):
            raise usage(
                "config.bad_override",
                f"{parent} is a value, not a table",
                where=f"--set {item}",
                hint="shorten the key",
            )
    content[last] = value


def _explain(problem: ValidationError, path: str) -> MgRiskError:
    first = min(problem.errors(), key=lambda error: error["type"] != "extra_forbidden")
    where = ".".join(str(part) for part in first["loc"]) or "the file"
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(first["loc"][-1]), _known(first["loc"][:-1]), n=1)
        return usage(
            "config.unknown_key",
            f"unknown key {where}",
            where=path,
            hint=f"did you mean {near[0]}?" if near else f"known keys: {', '.join(_known(first['loc'][:-1]))}",
        )
    return usage(
        "config.bad_value",
        f"{where}: {first['msg']}",
        where=path,
        hint="`mgrisk schema --pipeline` lists every key with its type and range",
    )


def _known(parents: tuple[int | str, ...]) -> list[str]:
    model: type[BaseModel] = Pipeline
    for parent in parents:
        options = getattr(model.model_fields[str(parent)].annotation, "__args__", None)
        chosen = model.model_fields[str(parent)].annotation if options is None else options[0]
        if not (isinstance(chosen, type) and issubclass(chosen, BaseModel)):
            return []
        model = chosen
    return list(model.model_fields)


def _without_none(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _without_none(value) for key, value in content.items() if value is not None}
    return content
