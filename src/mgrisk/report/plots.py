"""Plots of a finished run on matplotlib axes, with the data of the report's figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from mgrisk.cohort.select import DEVELOPMENT, HELD_OUT
from mgrisk.errors import MgRiskError, bad_input, few, usage
from mgrisk.evaluate.assess import CROSS_VALIDATED
from mgrisk.nhanes.codebook import SYNTHETIC
from mgrisk.report.explained import explained_people
from mgrisk.report.formats import model_label
from mgrisk.report.sections.dependence import dependence
from mgrisk.report.sections.drivers import WHOM, importance_records, interval_of
from mgrisk.report.sections.importance import importance_figure
from mgrisk.report.sections.performance import models_of, ranked_by
from mgrisk.report.sections.performance_figures import calibration_figure, decision_figure, no_calibration, roc_figure
from mgrisk.run_folder import names
from mgrisk.run_folder.folder import RunFolder

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LONGEST: Final = 80  # signs of a title
People = Literal["held-out", "cross-validated"]


@dataclass(frozen=True)
class RunPlots:
    """The plots of a run; each draws on `ax`, or on axes of a new figure, and returns the axes.

    `people` are the held-out people, or those of development with their cross-validated risks. Intervals are 95 % and
    design-based. The word SYNTHETIC stands across the plot where the people are made up.
    """

    run: RunFolder

    def calibration(self, ax: Axes | None = None, *, people: People = "held-out", model: str = "") -> Axes:
        """Draw observed against predicted risk: smooth curve with band, and deciles of the population.

        Parameters
        ----------
        ax
            Axes to draw on.
        people
            Whose risks.
        model
            Name of a model of the run; the chosen one where left out.

        Raises
        ------
        MgRiskError
            `plot.unknown`; `plot.no_curve` where the people do not define the curve.
        """
        model = model or self.run.winner
        where = self._set(people)
        known = [each for each in models_of(self.run, where) if each in self.run.predictions]
        if model not in known:
            raise _unknown("model", model, known)
        if problem := no_calibration(self.run, where, model):
            raise bad_input(
                "plot.no_curve",
                f"the calibration curve of {model} could not be estimated: {problem}",
                where=f"{names.CURVES}, {where}",
                hint='draw another set, such as people="cross-validated", or take more people',
            )
        data = calibration_figure(self.run, "plot", where, model)["data"]
        return self._drawn("calibration", data, ax, f"{model_label(model)}, {where}")

    def roc(self, ax: Axes | None = None, *, people: People = "held-out") -> Axes:
        """Draw the ROC curves of all models, and of the reference score."""
        where = self._set(people)
        models = [ranked_by(model) for model in models_of(self.run, where)]
        return self._drawn("roc", roc_figure(self.run, "plot", where, models)["data"], ax, where)

    def decision_curve(self, ax: Axes | None = None, *, people: People = "held-out") -> Axes:
        """Draw net benefit against the risk threshold: all models, treat all and treat none."""
        where = self._set(people)
        data = decision_figure(self.run, "plot", where, models_of(self.run, where))["data"]
        return self._drawn("decision", data, ax, where)

    def importance(self, ax: Axes | None = None) -> Axes:
        """Draw the mean absolute SHAP value of each feature of the chosen model in the held-out people."""
        people = explained_people(self.run, HELD_OUT)
        records = importance_records(self.run)
        data = importance_figure(records, people, whom=WHOM, interval_of=interval_of(people))["data"]
        return self._drawn("importance", data, ax, f"{model_label(self.run.winner)}, {WHOM}")

    def dependence(self, feature: str, ax: Axes | None = None) -> Axes:
        """Draw the SHAP values of a feature against its value: held-out people, and the mean in both sets.

        Parameters
        ----------
        feature
            Name of a number among the features of the chosen model.
        ax
            Axes to draw on.

        Raises
        ------
        MgRiskError
            `plot.unknown`.
        """
        numbers = {each.name: each for each in self.run.features if each.kind == "number"}
        if feature not in numbers:
            raise _unknown("numeric feature", feature, list(numbers))
        along = numbers[feature]
        block = dependence(
            explained_people(self.run, HELD_OUT), explained_people(self.run, DEVELOPMENT), [along], along
        )
        return self._drawn("dependence", block["data"], ax, along.label)

    def _set(self, people: People) -> str:
        if people == CROSS_VALIDATED:
            return CROSS_VALIDATED
        if people != HELD_OUT:
            raise _unknown("set of people", people, (HELD_OUT, CROSS_VALIDATED))
        return self.run.held_out_name

    def _drawn(self, panel: str, data: Mapping[str, Any], ax: Axes | None, title: str) -> Axes:
        # matplotlib takes half a second, which whoever reads a table does without.
        import matplotlib as mpl
        import matplotlib.pyplot as plt

        from mgrisk.report import panels

        draw: Callable[[Axes, Mapping[str, Any]], None] = getattr(panels, panel)
        settings: dict[Any, Any] = {**panels.RC}
        # Outside the settings: a notebook's first figure switches on that figures are shown, which they would undo.
        figure = plt.figure(figsize=(6.6, 5.0), layout="constrained") if ax is None else None
        with mpl.rc_context(settings):
            ax = ax if figure is None else figure.subplots()
            assert ax is not None
            draw(ax, data)
            if panel == "dependence":
                ax.legend()
            label = self.run.data_label
            ax.set_title(panels.legible(f"{SYNTHETIC}: {title}" if label == SYNTHETIC else title, longest=LONGEST))
            if label == SYNTHETIC:
                panels.stamp(ax, label)
        return ax


def _unknown(what: str, asked: str, known: Sequence[str]) -> MgRiskError:
    return usage("plot.unknown", f"the run has no {what} {asked}", where=asked, hint=f"one of: {few(known, 40)}")
