"""`mgrisk schema`: show the columns that a model reads, or write an example file."""

from __future__ import annotations

import argparse
import json

from mgrisk.cli.options import add_model
from mgrisk.cli.terminal import tell
from mgrisk.errors import ExitStatus
from mgrisk.models import bundle_folder, load_model

HELP = "show the input schema of a model, or write a template"
ABOUT = "List the columns that a model reads: unit, range or levels, and whether one is required."
EXAMPLES = (
    "mgrisk schema --model undiagnosed",
    "mgrisk schema --model undiagnosed --template people.csv",
)


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_model(parser)
    parser.add_argument("--json", action="store_true", help="print as JSON")
    parser.add_argument("--pipeline", action="store_true", help="print the JSON schema of pipeline files instead")
    parser.add_argument("--template", metavar="FILE", help="write an example CSV that can be scored as it is")
    parser.add_argument("--overwrite", action="store_true", help="replace FILE if it exists")


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    if options.pipeline:
        from mgrisk.config.pipeline_file import Pipeline

        print(json.dumps(Pipeline.model_json_schema(), indent=1))
        return ExitStatus.DONE
    if options.template:
        from mgrisk.score.outputs import write_frame
        from mgrisk.storage.destinations import prepare_files
        from mgrisk.track import example_people

        prepare_files(options.template, inputs=[bundle_folder(options.model)], overwrite=options.overwrite)
        example = example_people(load_model(options.model))
        example.insert(0, "person_id", ["example-1", "example-2"])
        write_frame(example, options.template)
        tell(f"2 made-up people in {options.template}", output=options.template)
        return ExitStatus.DONE
    from mgrisk.score.eligibility import not_for

    scorer = load_model(options.model)
    rows = scorer.schema()
    if options.json:
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return ExitStatus.DONE
    whole = next((each.auroc for each in scorer.bundle.patterns if not each.absent), None)
    if whole is not None:
        print(f"AUROC {whole:.3f} with all inputs, in left-out cycles; each input shows the change when it is missing")
    if scorer.exclusions:
        print(not_for(scorer.exclusions))
    for row in rows:
        allowed = " | ".join(row["levels"]) or f"{row['minimum']:g} to {row['maximum']:g} {row['unit']}"
        alone = row["auroc_without"]
        costs = f"  (AUROC {alone - whole:+.3f} without it)" if alone is not None and whole is not None else ""
        print(f"{row['name']:<26}{'required  ' if row['required'] else '          '}{allowed}{costs}")
        print(f"{'':<36}{row['description']}")
    return ExitStatus.DONE
