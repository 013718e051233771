"""The `mgrisk` command: parse, call, print. Heavy libraries are imported where they are used."""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mgrisk import __version__
from mgrisk.commands import external, listing, scoring, shaping
from mgrisk.commands.numbers import whole_number
from mgrisk.commands.which import CHAMPION, bundle_folder
from mgrisk.errors import MACHINE, ExitStatus, MgRiskError, of_system

if TYPE_CHECKING:
    from mgrisk.score.scorer import Scorer

DISCLAIMER = "A research tool: no medical device, and nothing it prints is medical advice."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status (interface.md)."""
    options = command_line().parse_args(arguments)
    action: Callable[[argparse.Namespace], int] = options.action
    try:
        return action(options)
    except MgRiskError as error:
        return _told(error, options)
    except KeyboardInterrupt:
        print("interrupted: what was not finished was not written", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output has gone; there is nobody to tell. Keep Python from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(ExitStatus.DONE)
    except Exception as problem:
        if isinstance(problem, OSError) and problem.errno in MACHINE:
            return _told(of_system(problem), options)
        # The last resort: say that it is ours, and how to report it.
        if options.debug:
            raise
        print(f"error: this is a bug in mgrisk: {type(problem).__name__}: {problem}", file=sys.stderr)
        print("where: " + _last_place(problem), file=sys.stderr)
        print("to do: run again with --debug and report what it prints", file=sys.stderr)
        return int(ExitStatus.BUG)


def _told(error: MgRiskError, options: argparse.Namespace) -> int:
    if options.debug:
        traceback.print_exc()
    print("\n".join(error.lines()), file=sys.stderr)
    return int(error.status)


def command_line() -> argparse.ArgumentParser:
    """Return the parser of the command; the reference pages are made from it."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    model = argparse.ArgumentParser(add_help=False)
    model.add_argument(
        "--model",
        metavar="DIR|NAME|NAME@ALIAS",
        help=f"bundle folder, released bundle or registered model ({CHAMPION} with a registry, else undiagnosed)",
    )
    parser = argparse.ArgumentParser(
        prog="mgrisk",
        description="Risk of type 2 diabetes from dietary magnesium and lifestyle.",
        epilog=DISCLAIMER,
    )
    parser.add_argument("--version", action="version", version=f"mgrisk {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", parents=[common], help="run a pipeline file, from raw tables to report")
    run.add_argument("pipeline", metavar="PIPELINE", help="for example pipelines/demo.toml")
    run.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    run.add_argument("--out", metavar="DIR", help="run folder (runs/<name>)")
    run.add_argument("--offline", action="store_true", help="use the cache only")
    run.add_argument("--until", metavar="STEP", help="stop after a step, for example train: before the held-out test")
    run.set_defaults(action=_run)

    fetch = commands.add_parser("fetch", parents=[common], help="raw NHANES tables into the cache")
    fetch.add_argument("--cycle", nargs="*", metavar="YEARS", help="for example 2017-2018 (all)")
    fetch.add_argument("--source", metavar="BASE", help="folder or base URL (MGRISK_NHANES, else the CDC site)")
    fetch.add_argument("--offline", action="store_true", help="only check what the cache holds")
    fetch.set_defaults(action=_fetch)

    describe = commands.add_parser(
        "describe", parents=[common], help="survey estimates of features and NHANES variables"
    )
    describe.add_argument(
        "--of", nargs="+", action="extend", required=True, metavar="NAME", help="or a condition: 'bmi_kg_m2 >= 30'"
    )
    describe.add_argument(
        "--by", nargs="+", action="extend", default=[], metavar="NAME", help="an estimate for each of its values"
    )
    describe.add_argument(
        "--cycle", nargs="+", action="extend", default=[], metavar="YEARS", help="combined (the latest that has all)"
    )
    describe.add_argument(
        "--where", default="", metavar="CONDITION", help="for example \"age_years >= 20 and sex == 'male'\""
    )
    describe.add_argument("--across-break", nargs="+", default=[], metavar="BREAK", help="changes of meaning to accept")
    describe.add_argument(
        "--statistic", default="", metavar="S", help="mean | proportion | age-adjusted | quantile=0.5"
    )
    describe.add_argument("--source", metavar="BASE", help="folder or base URL (MGRISK_NHANES, else the CDC site)")
    describe.add_argument("--format", choices=["table", "csv", "json"], default="table")
    describe.set_defaults(action=_describe)

    magnesium = commands.add_parser(
        "magnesium", parents=[common], help="magnesium intake of the population by sex and age, or its top foods"
    )
    magnesium.add_argument("table", choices=["intake", "foods"], help="intake and requirements, or the foods behind it")
    magnesium.add_argument("--cycle", nargs="+", required=True, metavar="YEARS", help="each for itself")
    magnesium.add_argument("--top", type=whole_number, default=10, metavar="N", help="foods of each cycle (10)")
    magnesium.add_argument(
        "--quick", action="store_true", help="no standard errors of usual intake, which take some 15 s a cycle"
    )
    magnesium.add_argument("--source", metavar="BASE", help="folder or base URL (MGRISK_NHANES, else the CDC site)")
    magnesium.add_argument("--format", choices=["table", "csv", "json"], default="table")
    magnesium.set_defaults(action=_magnesium)

    people = commands.add_parser("features", parents=[common], help="NHANES participants as a scoring file")
    people.add_argument("--cycle", nargs="+", required=True, metavar="YEARS")
    people.add_argument("--source", metavar="BASE", help="folder or base URL (MGRISK_NHANES, else the CDC site)")
    people.add_argument("-o", "--output", required=True, metavar="FILE", help=".csv or .parquet")
    people.set_defaults(action=_features)

    scoring.add(commands, parents=[common, model], action=_tell_aside)

    explain = commands.add_parser("explain", parents=[common, model], help="a page that explains one's own people")
    explain.add_argument("input", metavar="INPUT", help="file, or - for standard input")
    explain.add_argument("-o", "--output", required=True, metavar="PAGE", help="for example report.html")
    explain.set_defaults(action=_explain)

    external.add(commands, parents=[common, model], action=_tell)
    listing.add(commands, parents=[common], action=_lines)
    shaping.add(commands, parents=[common], action=_lines)

    completion = commands.add_parser(
        "completion", parents=[common], help="a script that lets a shell complete commands and options"
    )
    completion.add_argument("shell", choices=["bash", "zsh", "tcsh"])
    completion.set_defaults(action=_completion)

    validate = commands.add_parser("validate", parents=[common, model], help="check a file against the contract")
    validate.add_argument("input", metavar="INPUT")
    validate.set_defaults(action=_validate)

    schema = commands.add_parser("schema", parents=[common, model], help="the input contract")
    schema.add_argument("--json", action="store_true")
    schema.add_argument("--pipeline", action="store_true", help="the JSON schema of pipeline files instead")
    schema.add_argument("--template", metavar="FILE", help="write an example CSV that scores without a change")
    schema.set_defaults(action=_schema)

    codebook = commands.add_parser("codebook", parents=[common], help="where each feature comes from")
    codebook.add_argument("name", nargs="?", metavar="NAME", help="a feature or an NHANES variable (all features)")
    codebook.set_defaults(action=_codebook)
    return parser


def _run(options: argparse.Namespace) -> int:
    from mgrisk.steps.pipeline import run

    finished = run(
        options.pipeline,
        overrides=options.overrides,
        out=options.out,
        offline=options.offline,
        until=options.until,
        progress=_say,
    )
    if options.until:
        print(f"stopped after {options.until}: {finished.folder}")
        return ExitStatus.DONE
    table = finished.evaluation.frame()
    data = ", ".join(table["data"].unique())
    wanted = ["auroc", "calibration_slope", "calibration_intercept", "observed_expected", "ici"]
    print(f"\n{data}{' people' if data == 'SYNTHETIC' else ''}; estimate (95 % interval, survey design)")
    # Recalibrated scores and groups are in the report: here stand the models and the scores as they were published.
    shown = table["metric"].isin(wanted) & ~table["model"].str.contains(":") & (table["group"] == "all")
    for set_name, rows in table[shown].groupby("set", sort=False):
        print(f"  {set_name}")
        for model, of_model in rows.groupby("model", sort=False):
            cells = [f"{r['metric']} {_interval(r)}" for _, r in of_model.iterrows()]
            print(f"    {model:<16} {'  '.join(cells)}")
    print(f"\nreport: {finished.report}\nbundle: {finished.bundle}\n{DISCLAIMER}")
    return ExitStatus.DONE


def _fetch(options: argparse.Namespace) -> int:
    from mgrisk.features.registry import FEATURES
    from mgrisk.features.summary import paths
    from mgrisk.nhanes.codebook import VARIABLES
    from mgrisk.nhanes.cycles import CYCLES, cycle
    from mgrisk.nhanes.store import Store, default_cache, default_source, fetch

    store = Store(source=options.source or default_source(), cache=default_cache(), offline=options.offline)
    cycles = [cycle(years) for years in options.cycle] if options.cycle else CYCLES
    relatives = paths(cycles, FEATURES.values(), VARIABLES, store=store)
    outcomes: list[Any] = []

    def progress(outcome: Any, done: int, of: int) -> None:
        outcomes.append(outcome)
        _say(f"{done}/{of} {_fetched(outcome, offline=store.offline)}")

    try:
        fetch(store, relatives, progress=progress)
    finally:
        failed = sum(isinstance(outcome, MgRiskError) for outcome in outcomes)
        there = sum(not isinstance(outcome, MgRiskError) and outcome.was_there for outcome in outcomes)
        counts = f"{there} were there, {len(outcomes) - there - failed} downloaded, {failed} failed"
        print(f"{len(relatives)} tables: {counts}; {store.source}")
    return ExitStatus.DONE


def _fetched(outcome: Any, *, offline: bool) -> str:
    if not isinstance(outcome, MgRiskError):
        return f"{outcome.relative} {outcome.size:,} bytes{'' if outcome.was_there else ', downloaded'}"
    if offline and outcome.code == "store.offline":
        return f"missing: {outcome.where}"
    return f"failed: {outcome.where}: {outcome.what()} [{outcome.code}]"


def _describe(options: argparse.Namespace) -> int:
    from mgrisk.nhanes.store import Store, default_cache, default_source
    from mgrisk.steps.describe import Question, describe

    store = Store(source=options.source or default_source(), cache=default_cache(), offline=False)
    question = Question(tuple(options.of), tuple(options.by), options.where, options.statistic)
    found = describe(store, question, cycles=options.cycle, across_breaks=options.across_break)
    for note in found.notes():
        _say(note)
    if options.format == "json":
        print(json.dumps(found.plain_records(), indent=1, ensure_ascii=False))
    elif options.format == "csv":
        print(found.frame().to_csv(index=False), end="")
    else:
        print("\n".join(found.lines()))
    return ExitStatus.DONE


def _magnesium(options: argparse.Namespace) -> int:
    from mgrisk.nhanes.store import Store, default_cache, default_source
    from mgrisk.steps.magnesium_tables import food_table, magnesium_table

    store = Store(source=options.source or default_source(), cache=default_cache(), offline=False)
    if options.table == "foods":
        frame = food_table(store, cycles=options.cycle, top=options.top)
    else:
        frame = magnesium_table(store, cycles=options.cycle, standard_errors=not options.quick).frame()
    if options.format == "json":
        print(frame.to_json(orient="records", indent=1, force_ascii=False))
    elif options.format == "csv":
        print(frame.to_csv(index=False), end="")
    else:
        print(frame.to_string(index=False, float_format="{:.3f}".format, na_rep=""))
    return ExitStatus.DONE


def _features(options: argparse.Namespace) -> int:
    from mgrisk.nhanes.store import Store, default_cache, default_source
    from mgrisk.steps.people import write_people

    store = Store(source=options.source or default_source(), cache=default_cache(), offline=False)
    count = write_people(store, cycles=options.cycle, target=options.output)
    print(f"{count:,} people in {options.output}")
    return ExitStatus.DONE


def _explain(options: argparse.Namespace) -> int:
    from mgrisk.steps.own_people import explain_people

    found = explain_people(_load(options.model), options.input, options.output)
    counts = f"{found.scored:,} explained, {found.rejected:,} rejected, {found.outside:,} unlike the development people"
    print(f"{found.rows:,} rows: {counts}\nreport: {options.output} ({found.size / 2**20:.1f} MB)\n{DISCLAIMER}")
    return ExitStatus.DONE


def _validate(options: argparse.Namespace) -> int:
    from mgrisk.score.batch import validate_table

    scorer = _load(options.model)
    tally = validate_table(scorer, options.input, workers=os.cpu_count() or 1).tally
    print(f"{tally.rows:,} rows: {tally.scored:,} can be scored, {tally.rejected:,} would be rejected")
    for code, count in tally.problems.most_common():
        print(f"  {count:,} × {code}")
    return ExitStatus.INPUT if tally.rejected else ExitStatus.DONE


def _completion(options: argparse.Namespace) -> int:
    import shtab

    print(shtab.complete(command_line(), options.shell))
    return ExitStatus.DONE


def _tell(options: argparse.Namespace) -> int:
    print("\n".join(options.tell(options, bundle_folder(options.model))))
    _say(DISCLAIMER)
    return ExitStatus.DONE


def _lines(options: argparse.Namespace) -> int:
    print("\n".join(options.lines(options)))
    return ExitStatus.DONE


def _tell_aside(options: argparse.Namespace) -> int:
    from mgrisk.score.progress_line import ProgressLine

    # On standard error: standard output may be the table.
    with ProgressLine(sys.stderr) as told:
        lines = options.tell(options, bundle_folder(options.model), progress=told)
    for line in [*lines, DISCLAIMER]:
        _say(line)
    return ExitStatus.DONE


def _schema(options: argparse.Namespace) -> int:
    if options.pipeline:
        from mgrisk.config import Pipeline

        print(json.dumps(Pipeline.model_json_schema(), indent=1))
        return ExitStatus.DONE
    scorer = _load(options.model)
    if options.template:
        from mgrisk.score.outputs import write_frame
        from mgrisk.track import example_people

        example = example_people(scorer)
        example.insert(0, "person_id", ["example-1", "example-2"])
        write_frame(example, options.template)
        print(f"2 made-up people in {options.template}")
        return ExitStatus.DONE
    rows = scorer.schema()
    if options.json:
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return ExitStatus.DONE
    for row in rows:
        allowed = " | ".join(row["levels"]) or f"{row['minimum']:g} to {row['maximum']:g} {row['unit']}"
        print(f"{row['name']:<26}{'required  ' if row['required'] else '          '}{allowed}")
        print(f"{'':<36}{row['description']}")
    return ExitStatus.DONE


def _codebook(options: argparse.Namespace) -> int:
    from mgrisk.features.lineage import lineage
    from mgrisk.features.registry import FEATURES, features
    from mgrisk.nhanes.codebook import VARIABLES

    if options.name in VARIABLES:
        print("\n".join(VARIABLES[options.name].lines()))
        return ExitStatus.DONE
    for feature in features([options.name]) if options.name else FEATURES.values():
        found = lineage(feature)
        print(f"{found.name}  ({feature.label_with_unit}; {found.group})")
        print(f"    {found.formula}")
        print(f"    values     {found.allowed}")
        if found.made_of:
            print(f"    made of    {', '.join(found.made_of)}")
        print(f"    variables  {', '.join(found.sources)}; weights of the {found.sample}")
        breaks = f"; a break at {', '.join(found.breaks)}" if found.breaks else ""
        print(f"    cycles     {found.cycles}{breaks}")
        print(f"    source     {found.citation}")
    return ExitStatus.DONE


def _load(model: str | None) -> Scorer:
    from mgrisk.score.scorer import load_scorer

    return load_scorer(bundle_folder(model))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _interval(row: Any) -> str:
    if row["low"] is None or row["low"] != row["low"]:
        return f"{row['estimate']:.3f}"
    return f"{row['estimate']:.3f} ({row['low']:.3f}, {row['high']:.3f})"


def _last_place(problem: BaseException) -> str:
    frames = traceback.extract_tb(problem.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno} in {frames[-1].name}" if frames else "unknown"


if __name__ == "__main__":
    sys.exit(main())
