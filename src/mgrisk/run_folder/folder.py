"""Read and write the files of a run folder, with a coded error for a missing or unreadable file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final, TypeVar

import pandas as pd
from pydantic import TypeAdapter, ValidationError

from mgrisk.cohort.select import AttritionStep
from mgrisk.errors import MgRiskError, bad_input
from mgrisk.evaluate.records import (
    AddedValue,
    Calibrators,
    CohortRecord,
    DifferenceRecord,
    Finding,
    KnownAnswerRecord,
    Leaks,
    MetricRecord,
    Records,
    TableOneRecord,
    ThresholdRecord,
    Tuning,
)
from mgrisk.features.registry import Feature
from mgrisk.model.bundle_files import DESCRIPTION, REFERENCE
from mgrisk.nhanes.codebook import SYNTHETIC
from mgrisk.run_folder import names
from mgrisk.run_folder.records import (
    CandidateRecord,
    Curves,
    EvidenceRecord,
    ExplanationSummary,
    FittedFeatures,
    Imputation,
    ItemRecord,
    ManifestRecord,
    OptionRecord,
    QuestionRecord,
    ScoreRecord,
    Stability,
    TableRecord,
    Temporal,
)
from mgrisk.storage.files import read_json, write_json, write_parquet
from mgrisk.types import JsonRecord

T = TypeVar("T")
UNKNOWN: Final = "UNKNOWN"
# The files with a data label, should another be missing.
LABELLED: Final = (
    names.MANIFEST, names.COHORT, names.ATTRITION, names.EVALUATION, names.TUNING, names.EXPLANATION_SUMMARY,
)  # fmt: skip


_adapter: Callable[[Any], TypeAdapter[Any]] = cache(TypeAdapter)


def _records(name: str, kind: type[T], *, optional: bool = False) -> cached_property[Records[T]]:
    """Return an attribute that reads a file of flat records."""

    def read(run: RunFolder) -> Records[T]:
        if optional and not run.has(name):
            return Records((), name)
        return Records(run.read(name, tuple[kind, ...]), name)  # type: ignore[valid-type]

    return cached_property(read)


def _object(name: str, kind: type[T]) -> cached_property[T]:
    """Return an attribute that reads a file of one object."""
    return cached_property(lambda run: run.read(name, kind))


def is_run(folder: Path) -> bool:
    """Return whether a folder has the manifest of a run, finished or not.

    Examples
    --------
    >>> is_run(Path("no-such-folder"))
    False
    """
    try:
        content = read_json(folder / names.MANIFEST)
    except (OSError, ValueError, RecursionError):
        return False
    kinds = {"format": int, "mgrisk": str, "pipeline": str, "steps": dict}
    return isinstance(content, dict) and all(isinstance(content.get(name), kind) for name, kind in kinds.items())


def open_folder(folder: str | os.PathLike[str]) -> RunFolder:
    """Open the folder of a run.

    Raises
    ------
    MgRiskError
        `report.no_run` if it is not one.
    """
    path = Path(folder)
    if not is_run(path):
        raise bad_input(
            "report.no_run",
            "this is not the folder of a run",
            where=str(path),
            hint="name a folder that `mgrisk run` wrote, such as runs/demo",
        )
    return RunFolder(path)


@dataclass(frozen=True)
class RunFolder:
    """The files of a run. Each is read at first access and cached; open the folder again to see later changes.

    Attributes
    ----------
    folder
        Path of the run folder.
    data
        Data label for written files: NHANES, SYNTHETIC or the name of a cohort.

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

    def read(self, name: str, kind: type[T]) -> T:
        """Read JSON as a record type, or a collection of records.

        Raises
        ------
        MgRiskError
            `report.missing_file` or `report.bad_file`.
        """
        try:
            read: T = _adapter(kind).validate_python(self._json(name))
        except ValidationError as problem:
            first = problem.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            missing = first["type"] == "missing"
            said = f"has no entry '{place}'" if missing else f"cannot be read: {place} {first['msg']}"
            raise _bad(name, said) from None
        return read

    def frame(self, name: str) -> pd.DataFrame:
        """Read a Parquet file."""
        path = self._existing(name)
        try:
            return pd.read_parquet(path)
        except (ValueError, OSError) as problem:
            raise _bad(name, f"cannot be read as Parquet: {problem}") from None

    evaluation = _records(names.EVALUATION, MetricRecord)
    differences = _records(names.DIFFERENCES, DifferenceRecord)
    thresholds = _records(names.THRESHOLDS, ThresholdRecord)
    scores = _records(names.SCORES, ScoreRecord)
    table_one = _records(names.TABLE_ONE, TableOneRecord)
    attrition = _records(names.ATTRITION, AttritionStep)
    tables = _records(names.TABLES, TableRecord)
    known_answers = _records(names.KNOWN_ANSWERS, KnownAnswerRecord)
    checks = _records(names.CHECKS, Finding)
    tripod = _records(names.TRIPOD, ItemRecord)
    probast = _records(names.PROBAST, QuestionRecord)
    # Empty if not requested.
    evidence = _records(names.EVIDENCE, EvidenceRecord, optional=True)
    candidates = _records(names.CANDIDATES, CandidateRecord, optional=True)
    what_if = _records(names.WHAT_IF, OptionRecord, optional=True)
    cohort = _object(names.COHORT, CohortRecord)
    tuning = _object(names.TUNING, Tuning)
    leaks = _object(names.LEAKS, Leaks)
    calibrators = _object(names.CALIBRATION, Calibrators)
    added_value = _object(names.ADDED_VALUE, AddedValue)
    explanation = _object(names.EXPLANATION_SUMMARY, ExplanationSummary)
    stability = _object(names.STABILITY, Stability)
    temporal = _object(names.TEMPORAL, Temporal)
    imputation = _object(names.IMPUTATION, Imputation)
    curves = _object(names.CURVES, Curves)
    fitted_features = _object(names.FITTED_FEATURES, FittedFeatures)
    manifest = _object(names.MANIFEST, ManifestRecord)

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """Risks and points of all people in the analysis."""
        return self.frame(names.PREDICTIONS)

    @property
    def winner(self) -> str:
        """Name of the chosen model."""
        return self.tuning.winner

    @property
    def bundle_of_winner(self) -> str:
        """Path of the chosen model's bundle in the run folder."""
        return f"{names.TRAINED}/{self.winner}"

    @cached_property
    def about(self) -> JsonRecord:
        """Content of the chosen model's bundle.json."""
        return self.read(f"{self.bundle_of_winner}/{DESCRIPTION}", dict[str, Any])

    @cached_property
    def reference(self) -> JsonRecord:
        """Distribution of each feature in the development people, by feature."""
        return self.read(f"{self.bundle_of_winner}/{REFERENCE}", dict[str, Any])

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
        """Data label: SYNTHETIC if any file has it, UNKNOWN if none has a label."""
        labels = set()
        for name in LABELLED:
            try:
                content = self._json(name)
            except MgRiskError:
                continue  # its own report section names the missing file
            rows = content if isinstance(content, list) else [content]
            labels |= {str(item["data"]) for item in rows if isinstance(item, dict) and "data" in item}
        if SYNTHETIC in labels:
            return SYNTHETIC
        return ", ".join(sorted(labels)) or UNKNOWN

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


def _bad(name: str, what: str) -> MgRiskError:
    return bad_input("report.bad_file", f"{name} {what}", where=name, hint="run the pipeline again")
