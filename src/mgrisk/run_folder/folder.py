"""A run folder: the one reader and writer of its files, with a coded error where one is missing or unreadable."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final, TypeVar

import pandas as pd
from pydantic import TypeAdapter, ValidationError

from mgrisk.errors import MgRiskError, bad_input
from mgrisk.evaluate.records import (
    AddedValue,
    Calibrators,
    CohortRecord,
    DifferenceRecord,
    KnownAnswerRecord,
    Leaks,
    MetricRecord,
    Records,
    TableOneRecord,
    ThresholdRecord,
    Tuning,
)
from mgrisk.features.registry import Feature
from mgrisk.model.bundle_files import CALIBRATOR, DESCRIPTION, REFERENCE
from mgrisk.nhanes.codebook import SYNTHETIC
from mgrisk.run_folder import names
from mgrisk.run_folder.records import (
    AttritionRecord,
    CalibratorRecord,
    CheckRecord,
    Curves,
    EvidenceRecord,
    ExplanationSummary,
    Imputation,
    ItemRecord,
    ManifestRecord,
    OptionRecord,
    QuestionRecord,
    Refits,
    ScoreRecord,
    TableRecord,
    Temporal,
)
from mgrisk.storage.files import read_json, write_json, write_parquet
from mgrisk.types import JsonRecord

T = TypeVar("T")
UNKNOWN: Final = "UNKNOWN"
# The files that say what the numbers are about, should another be missing.
LABELLED: Final = (
    names.MANIFEST, names.COHORT, names.ATTRITION, names.EVALUATION, names.TUNING, names.EXPLANATION_SUMMARY,
)  # fmt: skip


@dataclass(frozen=True)
class RunFolder:
    """The files of a run, each read when first asked for; open it anew to see what was written since.

    Attributes
    ----------
    folder
        Where the run is.
    data
        What its people are, for the writers: NHANES, SYNTHETIC or the name of a cohort.

    Examples
    --------
    >>> import tempfile
    >>> run = RunFolder(Path(tempfile.mkdtemp()), data="SYNTHETIC")
    >>> run.write_records(names.ATTRITION, [{"set": "development", "rule": "all", "n": 9, "excluded": 0, "events": 1}])
    >>> run.attrition.one(set="development").n, run.data_label
    (9, 'SYNTHETIC')
    """

    folder: Path
    data: str = ""

    def path(self, name: str) -> Path:
        """Return the path of a file or folder of the run."""
        return self.folder / name

    def has(self, name: str) -> bool:
        """Return whether the run has a file."""
        return self.path(name).is_file()

    def write_records(self, name: str, records: Sequence[JsonRecord]) -> None:
        """Write a list of flat records, each with `data`."""
        write_json(self.path(name), [{**record, "data": self.data} for record in records])

    def write_object(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a JSON object that begins with `data`."""
        write_json(self.path(name), {"data": self.data, **content})

    def write_frame(self, name: str, frame: pd.DataFrame) -> None:
        """Write Parquet with a column `data`."""
        write_parquet(self.path(name), frame.assign(data=pd.Categorical([self.data] * len(frame))))

    def frame(self, name: str) -> pd.DataFrame:
        """Read a Parquet file."""
        path = self._existing(name)
        try:
            return pd.read_parquet(path)
        except (ValueError, OSError) as problem:
            raise _bad(name, f"cannot be read as Parquet: {problem}") from None

    @cached_property
    def evaluation(self) -> Records[MetricRecord]:
        """Metrics of all models and published scores."""
        return self._records(names.EVALUATION, MetricRecord)

    @cached_property
    def differences(self) -> Records[DifferenceRecord]:
        """Metrics of one model minus those of another."""
        return self._records(names.DIFFERENCES, DifferenceRecord)

    @cached_property
    def thresholds(self) -> Records[ThresholdRecord]:
        """What acting by a rule comes to."""
        return self._records(names.THRESHOLDS, ThresholdRecord)

    @cached_property
    def scores(self) -> Records[ScoreRecord]:
        """Every published score, evaluated or not."""
        return self._records(names.SCORES, ScoreRecord)

    @property
    def table_one(self) -> Records[TableOneRecord]:
        """Who the people are."""
        return self._records(names.TABLE_ONE, TableOneRecord)

    @property
    def attrition(self) -> Records[AttritionRecord]:
        """What each eligibility rule cost."""
        return self._records(names.ATTRITION, AttritionRecord)

    @property
    def tables(self) -> Records[TableRecord]:
        """The source tables."""
        return self._records(names.TABLES, TableRecord)

    @property
    def known_answers(self) -> Records[KnownAnswerRecord]:
        """Published figures beside those of the run's tables."""
        return self._records(names.KNOWN_ANSWERS, KnownAnswerRecord)

    @property
    def checks(self) -> Records[CheckRecord]:
        """The coded checks."""
        return self._records(names.CHECKS, CheckRecord)

    @property
    def tripod(self) -> Records[ItemRecord]:
        """The items of TRIPOD+AI."""
        return self._records(names.TRIPOD, ItemRecord)

    @property
    def probast(self) -> Records[QuestionRecord]:
        """The questions of PROBAST+AI."""
        return self._records(names.PROBAST, QuestionRecord)

    @cached_property
    def evidence(self) -> Records[EvidenceRecord]:
        """The analysis of magnesium; nothing where the pipeline did not ask for it."""
        return self._if_there(names.EVIDENCE, EvidenceRecord)

    @cached_property
    def what_if(self) -> Records[OptionRecord]:
        """What options would make of risks; nothing where the pipeline did not ask for it."""
        return self._if_there(names.WHAT_IF, OptionRecord)

    @cached_property
    def tuning(self) -> Tuning:
        """What training tried and chose."""
        return self._object(names.TUNING, Tuning)

    @property
    def winner(self) -> str:
        """Name of the model that the run chose."""
        return self.tuning.winner

    @cached_property
    def cohort(self) -> CohortRecord:
        """Who the people are, and what the run predicts."""
        return self._object(names.COHORT, CohortRecord)

    @property
    def fitted_features(self) -> JsonRecord:
        """The fitted models of features by name, as `features.compute.to_dict` wrote them."""
        models: JsonRecord = self._object(names.FITTED_FEATURES, dict[str, Any])["models"]
        return models

    @cached_property
    def manifest(self) -> ManifestRecord:
        """What made the run."""
        return self._object(names.MANIFEST, ManifestRecord)

    @cached_property
    def curves(self) -> Curves:
        """Curves by set, model and kind."""
        sets: Curves = self._object(names.CURVES, dict[str, Any])["sets"]
        return sets

    @property
    def leaks(self) -> Leaks:
        """The leakage audit."""
        return self._object(names.LEAKS, Leaks)

    @property
    def calibrators(self) -> Calibrators:
        """The shipped calibrator beside others."""
        return self._object(names.CALIBRATION, Calibrators)

    @property
    def added_value(self) -> AddedValue:
        """What magnesium adds to the prediction."""
        return self._object(names.ADDED_VALUE, AddedValue)

    @cached_property
    def explanation(self) -> ExplanationSummary:
        """What can be said of all contributions together."""
        return self._object(names.EXPLANATION_SUMMARY, ExplanationSummary)

    @property
    def refits(self) -> tuple[Refits, ...] | None:
        """What refits do to the reasons, by way of refitting; None in a run of an earlier version."""
        if not self.has(names.STABILITY):
            return None
        ways = self._object(names.STABILITY, dict[str, Any])["ways"]
        return _typed(names.STABILITY, tuple[Refits, ...], ways)

    @property
    def temporal(self) -> Temporal:
        """The chosen model in other cycles and without inputs."""
        return self._object(names.TEMPORAL, Temporal)

    @property
    def imputation(self) -> Imputation | None:
        """The chosen model on completed data; None where the pipeline did not ask for it."""
        return self._object(names.IMPUTATION, Imputation) if self.has(names.IMPUTATION) else None

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """Risks and points of everybody in the analysis."""
        return self.frame(names.PREDICTIONS)

    @property
    def bundle_of_winner(self) -> str:
        """Path of the chosen model's bundle within the run."""
        return f"{names.TRAINED}/{self.winner}"

    @cached_property
    def about(self) -> JsonRecord:
        """What the chosen model's bundle says of itself."""
        return self._object(f"{self.bundle_of_winner}/{DESCRIPTION}", dict[str, Any])

    @cached_property
    def reference(self) -> JsonRecord:
        """How the features were spread in the development people, by feature."""
        return self._object(f"{self.bundle_of_winner}/{REFERENCE}", dict[str, Any])

    @cached_property
    def calibrator(self) -> CalibratorRecord:
        """The chosen model's map from margin to risk."""
        return self._object(f"{self.bundle_of_winner}/{CALIBRATOR}", CalibratorRecord)

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """Features of the chosen model, in its order."""
        try:
            return tuple(Feature.model_validate(row) for row in self.about["features"])
        except ValueError as problem:
            raise _bad(DESCRIPTION, f"has a feature that cannot be read: {problem}") from None

    @property
    def held_out_name(self) -> str:
        """Name of the held-out set in records, for example 2017-2018."""
        return ", ".join(self.about["held_out"])

    @property
    def data_label(self) -> str:
        """What the numbers are about: SYNTHETIC if any file says so, UNKNOWN if none says anything."""
        labels = set()
        for name in LABELLED:
            try:
                content = self._json(name)
            except MgRiskError:
                continue  # its own section will say that it is missing
            rows = content if isinstance(content, list) else [content]
            labels |= {str(item["data"]) for item in rows if isinstance(item, dict) and "data" in item}
        if SYNTHETIC in labels:
            return SYNTHETIC
        return ", ".join(sorted(labels)) or UNKNOWN

    def _records(self, name: str, kind: type[T]) -> Records[T]:
        return Records(_typed(name, tuple[kind, ...], self._json(name)), name)  # type: ignore[valid-type]

    def _if_there(self, name: str, kind: type[T]) -> Records[T]:
        return self._records(name, kind) if self.has(name) else Records((), name)

    def _object(self, name: str, kind: type[T]) -> T:
        return _typed(name, kind, self._json(name))

    def _existing(self, name: str) -> Path:
        path = self.path(name)
        if not path.is_file():
            raise bad_input(
                "report.missing_file",
                f"{name} is not in the run folder",
                where=str(self.folder),
                hint="run the pipeline again",
            )
        return path

    def _json(self, name: str) -> Any:
        path = self._existing(name)
        try:
            return read_json(path)
        except (ValueError, OSError) as problem:
            raise _bad(name, f"cannot be read as JSON: {problem}") from None


_adapter: Callable[[Any], TypeAdapter[Any]] = cache(TypeAdapter)


def _typed(name: str, kind: type[T], content: Any) -> T:
    try:
        read: T = _adapter(kind).validate_python(content)
    except ValidationError as problem:
        first = problem.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        missing = first["type"] == "missing"
        raise _bad(name, f"has no entry '{place}'" if missing else f"cannot be read: {place} {first['msg']}") from None
    return read


def _bad(name: str, what: str) -> MgRiskError:
    return bad_input("report.bad_file", f"{name} {what}", where=name, hint="run the pipeline again")
