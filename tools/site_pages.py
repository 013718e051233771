"""MkDocs hook: generate pages from code, schemas, cards and notebooks, so that they are always current.

    pip install -c constraints.txt -e '.[docs]' && mkdocs build

Commands come from the parser, pipeline files and the scoring file from their schemas, features from the registry, the
figures of the models from the cards of the released bundles, the gallery from the notebooks; decisions are listed from
docs/decisions.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from mgrisk.cli.main import WIDTH, command_line
from mgrisk.config.pipeline_file import Pipeline
from mgrisk.errors import ExitStatus
from mgrisk.features.registry import FEATURES
from mgrisk.model.bundle import read_bundle
from mgrisk.score.scorer import Scorer

ROOT = Path(__file__).parents[1]


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List decisions, model cards and notebooks under their entries of the navigation."""
    listed = {
        "Decisions": [path.relative_to(ROOT / "docs").as_posix() for path in DECISIONS],
        "How good the models are": [f"reference/models/{path.parent.name}.md" for path in CARDS],
        "Notebooks": [f"notebooks/{path.stem}.md" for path in NOTEBOOKS],
    }
    for section in config.nav or ():
        for entry in [*section.get("Reference", []), section] if isinstance(section, dict) else []:
            for name in entry.keys() & listed.keys():
                entry[name] += listed[name]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    for name, content in pages():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Show links to files of the repository that are not pages as code."""
    return re.sub(r"\[([^\]]+)\]\((?:\.\./)+(?:models|data|pipelines|src|benchmarks|tests)/[^)]*\)", r"`\1`", markdown)


def pages() -> Iterator[tuple[str, str]]:
    """Yield name and Markdown of each page."""
    yield "reference/commands.md", "\n\n".join([COMMANDS, *commands(command_line(), "mgrisk")])
    yield (
        "reference/pipeline.md",
        "\n\n".join(["# Pipeline files", INTRODUCTION, *sections(Pipeline.model_json_schema())]),
    )
    yield "reference/scoring-file.md", scoring_file()
    yield "reference/features.md", feature_table()
    yield "reference/models.md", models_page()
    for path in CARDS:
        yield f"reference/models/{path.parent.name}.md", path.read_text("utf-8")
    yield "decisions.md", decisions_page()
    yield "notebooks.md", gallery()
    for path in NOTEBOOKS:
        yield f"notebooks/{path.stem}.md", "\n\n".join(cells(json.loads(path.read_text("utf-8"))["cells"]))
    yield "changelog.md", (ROOT / "CHANGELOG.md").read_text("utf-8")
    yield "citation.md", citation()


DECISIONS = sorted((ROOT / "docs" / "decisions").glob("0*.md"))
CARDS = sorted((ROOT / "models").glob("*/card.md"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

INTRODUCTION = """A TOML file defines a run. `extends = "other.toml"` uses another file as the base; `--set key=value` has precedence over both. An
unknown key is an error that names the nearest known one."""


STATUSES = {
    ExitStatus.DONE: "done",
    ExitStatus.BUG: "a bug of mgrisk: run again with `--debug` and report the output, without values of people",
    ExitStatus.USAGE: "the command line or a pipeline file cannot be used",
    ExitStatus.INPUT: "the input data or the output path cannot be used; a row was rejected (`validate`, `--strict`)",
    ExitStatus.SOURCE: "source tables or the network",
    ExitStatus.BUNDLE: "a model, a run or the registry is missing, damaged, or not the one requested",
    ExitStatus.REJECTED: "all rows were rejected, or more than `--max-rejected`; the output is written",
    ExitStatus.ALERTS: "`monitor --fail-on-alerts`: the latest batch has alerts",
}
COMMANDS = "\n".join(
    [
        "# Commands",
        "",
        "`mgrisk COMMAND --help` prints the same text. An error is a line that says what is wrong, where, and what to do,",
        "on standard error, with one of these exit statuses; 130 is Ctrl-C, 143 SIGTERM or SIGHUP:",
        "",
        "| exit status | |",
        "|--:|---|",
        *(f"| {int(status)} | {STATUSES[status]} |" for status in ExitStatus),
    ]
)


def commands(parser: argparse.ArgumentParser, name: str) -> Iterator[str]:
    """Yield the help of each command as argparse prints it."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command, sub in action.choices.items():
                sub.formatter_class = lambda prog: argparse.RawDescriptionHelpFormatter(prog, width=WIDTH)
                sub.prog = f"{name} {command}"
                yield f"## mgrisk {command}\n\n```text\n{sub.format_help().strip()}\n```"


def sections(schema: dict[str, Any]) -> Iterator[str]:
    """Yield a table for each section of a pipeline file."""
    known = schema["$defs"] | {"Pipeline": schema}
    for name in ["Pipeline", *sorted(set(known) - {"Pipeline"})]:
        rows = [
            f"| `{key}` | {_kind(row)} | {_shown(row)} | {_cell(row.get('description', ''))} |"
            for key, row in known[name].get("properties", {}).items()
        ]
        head = (
            f"## {name}\n\n{_cell(known[name].get('description', ''))}\n\n| key | type | default | |\n|---|---|---|---|"
        )
        yield "\n".join([head, *rows])


def _kind(row: dict[str, Any]) -> str:
    if "$ref" in row:
        return f"[{row['$ref'].rpartition('/')[2]}](#{row['$ref'].rpartition('/')[2].lower()})"
    if "anyOf" in row:
        return " or ".join(_kind(each) for each in row["anyOf"] if each.get("type") != "null")
    return str(row.get("type", row.get("enum", "")))


def _shown(row: dict[str, Any]) -> str:
    default = row.get("default")
    return "" if default is None or isinstance(default, dict) else f"`{default!r}`"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def models_page() -> str:
    """Return the page on released models: overall performance, performance by group, and the cards."""
    text = (
        (ROOT / "models" / "README.md").read_text("utf-8").replace("# Released bundles", "# How good the models are", 1)
    )
    cards = {path.parent.name: path.read_text("utf-8") for path in CARDS}
    links = "\n".join(f"- [{name}](models/{name}.md)" for name in cards)
    parts = [text, f"## Model cards\n\nAll results of each model, with targets met and missed:\n\n{links}", GROUPS]
    for name, card in cards.items():
        parts.append(f"### {name}\n\n" + "\n".join(columns(table_after(card, " by group of people"), 6)))
    return "\n\n".join(parts)


GROUPS = """## By group

AUROC and observed/expected with 95 % intervals, and the numbers of people and cases, in 2017-2018. An asterisk marks
numbers that are based on too few people for the data presentation standards of NCHS."""


def table_after(text: str, heading: str) -> list[str]:
    """Return the lines of the table below the bold line that holds a text."""
    lines = text.splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("**") and heading in line)
    begin = next(place for place in range(start, len(lines)) if lines[place].startswith("|"))
    end = next((place for place in range(begin, len(lines)) if not lines[place].startswith("|")), len(lines))
    return lines[begin:end]


def columns(table: Iterable[str], count: int) -> Iterator[str]:
    """Yield the rows of a table with their first columns alone."""
    for line in table:
        yield "| " + " | ".join(cell.strip() for cell in line.strip("|").split("|")[:count]) + " |"


def decisions_page() -> str:
    """Return the list of decisions."""
    rows = []
    for path in DECISIONS:
        title, _, *rest = path.read_text("utf-8").splitlines()
        number, _, name = title.removeprefix("# ").partition(". ")
        date = re.search(r"\d{4}-\d\d-\d\d", "\n".join(rest))
        rows.append(f"| {number} | [{name}](decisions/{path.name}) | {date[0] if date else ''} |")
    return "\n".join(["# Decisions", "", DECIDED, "", "| | | |", "|--:|---|---|", *rows])


DECIDED = "What was chosen, which alternatives there were, and why. A page stays when a later decision replaces it."


def gallery() -> str:
    """Return the page that leads to the notebooks."""
    entries = []
    for path in NOTEBOOKS:
        title, _, description = "".join(json.loads(path.read_text("utf-8"))["cells"][0]["source"]).partition("\n")
        entries.append(f"## [{title.removeprefix('# ')}](notebooks/{path.stem}.md)\n\n{description.strip()}")
    head = "# Notebooks\n\nFrom `notebooks/` of the repository, with output; all people are SYNTHETIC."
    return "\n\n".join([head, *entries])


def cells(found: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield the cells of a notebook as Markdown."""
    for cell in found:
        source = "".join(cell["source"])
        yield source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```"
        for output in cell.get("outputs", []):
            shown = {"text/plain": output.get("text", "")} | output.get("data", {})
            if "image/png" in shown:
                yield f"![Output of the cell](data:image/png;base64,{''.join(shown['image/png'].split())})"
            elif "text/html" in shown:
                yield "".join(shown["text/html"])
            else:
                yield "```text\n" + "".join(shown["text/plain"]).rstrip() + "\n```"


def citation() -> str:
    """Return how to cite, from CITATION.cff and data/README.md."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    authors = ", ".join(author["name"] for author in cited["authors"])
    nhanes = re.search(r"(?:^> .*\n)+", (ROOT / "data" / "README.md").read_text("utf-8"), re.MULTILINE)
    assert nhanes is not None
    software = f"> {authors}. {cited['title']}. Version {cited['version']}. License: {cited['license']}."
    return f"# How to cite\n\n{cited['message']}\n\n{software}\n\n{nhanes[0]}\nMachine-readable: `CITATION.cff`."


def scoring_file() -> str:
    """Return the input schema of the widest released model."""
    rows = [
        f"| `{row['name']}` | {row['unit'] or row['type']} | {'yes' if row['required'] else ''} | {_range(row)} "
        f"| {_cell(row['description'])} |"
        for row in Scorer(read_bundle(ROOT / "models" / "undiagnosed")).schema()
    ]
    return "\n".join([SCORING, *rows])


SCORING = """# The scoring file

One row for each person, CSV in UTF-8 with commas and decimal points, or Parquet. Only age and sex are required. Other columns pass
through. Codes for missing values and other formats are listed under [batch scoring](../batch-scoring.md#what-is-read). The table below is the input schema of the released `undiagnosed`; `mgrisk schema --model …` prints that of any model.

**Eligibility.** Models do not hold for some people: `undiagnosed`, `dysglycaemia` and `insulin-resistance` not for people with diagnosed diabetes, none of the
released models for type 1 diabetes or in pregnancy. Three columns, which are not inputs, identify them: `diabetes_told` (borderline counts as yes), `likely_type_1` (or `type_1_diabetes`) and `pregnant`, each
yes, no or empty. A row with a yes gets the status `not_eligible`, for example `not_eligible:diabetes_told` in `problems`, and no risk; it does not count as rejected, and its other values are not checked.
An empty cell means not known, and the row is scored. If a column is absent, the summary names it with the people for whom the model does not hold. A model also does not hold for people below the minimum age of its development cohort. `diabetes` scores
people with diagnosed diabetes, who are among its cases.

**Contradictions.** Values of one person that cannot both be right reject the row, as `contradiction:gestational_diabetes` or `contradiction:large_baby` (of a man) and
`contradiction:diastolic_mmhg` (not below the systolic pressure).

**Improbable values.** A row is scored and flagged: `improbable:weight_greatest_kg` (15 % or more below the present weight), `improbable:blood_pressure_medicine` (without diagnosed high blood
pressure), `improbable:leisure_met_min_week` (above total activity), `improbable:bmi_kg_m2` and `improbable:magnesium_total_mg` (more than 5 % different from the value computed from height and weight, or food and supplements;
the computed value is then scored). Of 39,476 adults of NHANES 2007-2023, 210 have the first of these flags and none has another. `outside:FEATURE` names a feature by which a scored row is
out of distribution (`in_domain` no). The rules, each with its source: `score/contradictions.toml`.

The output has the file's columns, then `status` (scored, rejected or not_eligible), `problems`, `risk`, `risk_low` and `risk_high` (90 % interval: sampling error of the
model), `risk_low_inputs` and `risk_high_inputs` (between these the risk of 90 % of similar people would lie if their absent inputs were known), `inputs_used` (the number
of known inputs), `in_domain`, `model`, and `reason_1`, `reason_1_value`, `reason_1_effect` … (largest SHAP values, in calibrated log-odds; an
absent input is never listed). `--next-question` adds `next_question`, the absent input whose measurement would be most informative. The base value of an additive model
depends on which inputs are absent: it is the logit of the risk minus all effects. A text that a
spreadsheet would run as a formula has an apostrophe before it, which mgrisk removes when it reads the file.

| column | unit | required | range or levels | |
|---|---|---|---|---|"""


def _range(row: dict[str, Any]) -> str:
    if row["levels"]:
        return ", ".join(row["levels"])
    return (
        f"{row['minimum']:g} to {row['maximum']:g}" if row["minimum"] is not None and row["maximum"] is not None else ""
    )


def feature_table() -> str:
    """Return every feature of the registry."""
    rows = [
        f"| `{each.name}` | {_cell(each.label_with_unit)} | {each.comparable[0]} to {each.comparable[1]} "
        f"| {_cell(each.formula)} | {_cell(each.citation)} |"
        for each in FEATURES.values()
    ]
    head = "# Features\n\nEvery feature, the cycles in which it is comparable, its formula and its source.\n"
    return "\n".join([head, "| feature | | cycles | how | source |", "|---|---|---|---|---|", *rows])
