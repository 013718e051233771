"""Tasks, continuous integration, citation, metadata and changelog are consistent with each other."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, distributions, requires
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
JUSTFILE = (ROOT / "justfile").read_text("utf-8")
TASKS = set(re.findall(r"^([a-z][a-z-]*)(?: [^:\n]*)?:(?!=)", JUSTFILE, re.MULTILINE))
TEXTS = [
    *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / ".github").rglob("*.md"), ROOT / ".ci" / "run",
]  # fmt: skip


def test_a_task_that_is_named_exists() -> None:
    named = {
        path.name: re.findall(r"(?:`|bin/|^ *)just ([a-z][a-z-]*)", path.read_text("utf-8"), re.M) for path in TEXTS
    }
    assert sum(map(len, named.values())) > 5, "the tasks were not found"
    assert {name: lost for name, tasks in named.items() if (lost := set(tasks) - TASKS)} == {}


def test_continuous_integration_runs_every_task_but_the_short_and_the_long_one() -> None:
    run = set(re.findall(r"^just ([a-z-]+)", (ROOT / ".ci" / "run").read_text("utf-8"), re.MULTILINE))
    assert run == TASKS - {"default", "test-fast", "bench"}


def test_the_hosting_site_calls_that_script_with_the_first_and_the_last_python() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8"))
    (job,) = workflow["jobs"].values()
    assert ".ci/run" in [step.get("run") for step in job["steps"]]
    (versions,) = [
        step["with"]["python-version"].split() for step in job["steps"] if "setup-python" in step.get("uses", "")
    ]
    listed = [each.rpartition(" ")[2] for each in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", each)]
    assert set(versions) == {listed[0], listed[-1]}
    assert PROJECT["requires-python"] == f">={listed[0]}"


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert {"cff-version", "message", "title", "abstract", "authors", "keywords", "references"} <= citation.keys()
    assert (str(citation["version"]), citation["license"]) == (PROJECT["version"], PROJECT["license"])
    assert citation["authors"] == PROJECT["authors"]


def test_hooks_run_what_is_installed_for_developers() -> None:
    repositories = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    assert [each["repo"] for each in repositories] == ["local"]
    tools = {hook["entry"].split()[0] for hook in repositories[0]["hooks"]}
    lint = JUSTFILE.partition("\nlint:")[2].partition("\n\n")[0]
    assert tools <= {line.split()[0] for line in lint.split("\n") if line.strip()}


def pinned(file: str) -> dict[str, str]:
    """Return version by name of a file of constraints or requirements."""
    lines = re.findall(r"^([\w.-]+)==(\S+)", (ROOT / file).read_text("utf-8"), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in lines}


def needed(requirements: Iterable[str]) -> Iterator[str]:
    """Yield the names of requirements that hold here and of what they need in turn, where they are installed."""
    names = list(requirements)
    seen: set[str] = set()
    while names:
        requirement = Requirement(names.pop())
        name = canonicalize_name(requirement.name)
        if name not in seen and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
            seen.add(name)
            yield name
            with suppress(PackageNotFoundError):
                names += requires(name) or []


@pytest.mark.skipif(sys.platform != "linux", reason="requirements.txt is of Linux")
def test_every_requirement_is_pinned_and_has_hashes_and_none_is_lacking() -> None:
    text = (ROOT / "requirements.txt").read_text("utf-8")
    constraints, requirements = pinned("constraints.txt"), pinned("requirements.txt")
    assert {name: constraints.get(name) for name in requirements} == requirements
    blocks = [
        " ".join(each.split()) for each in re.sub(r"^#.*\n", "", text, flags=re.M).replace("\\\n", " ").splitlines()
    ]
    pin = re.compile(r"[\w.-]+==\S+( --hash=sha256:[0-9a-f]{64})+")
    assert [block for block in blocks if not pin.fullmatch(block)] == []  # no index, no address, no marker
    assert len(blocks) == len(requirements)
    build = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["build-system"]["requires"]
    names = set(needed([*PROJECT["dependencies"], *build]))
    assert len(names) > 50
    assert names - requirements.keys() == set()


def test_pinned_versions_run_on_the_first_release_of_the_lowest_python() -> None:
    lowest = PROJECT["requires-python"].removeprefix(">=") + ".0"
    # A version that is installed here is looked at, whatever Python this is.
    constraints = pinned("constraints.txt")
    found = {
        f"{each.name}=={each.version}": each.metadata.get("Requires-Python")
        for each in distributions()
        if constraints.get(canonicalize_name(each.name)) == each.version
    }
    assert len(found) > 50
    assert {name: asked for name, asked in found.items() if asked and lowest not in SpecifierSet(asked)} == {}


def test_continuous_integration_and_the_container_install_by_hash() -> None:
    for place in (".ci/run", "Containerfile"):
        installed = re.findall(r"pip\S* install .*", (ROOT / place).read_text("utf-8"))
        assert re.search("--require-hashes -r .*requirements.txt", installed[0]), place
        assert "--no-build-isolation" in installed[1], place


def test_the_short_task_leaves_out_modules_that_exist_and_no_whole_package() -> None:
    unit = ROOT / "tests" / "unit"
    left_out = re.findall(r"\S+\.py", re.search(r'^long := "(.*?)"', JUSTFILE, re.M | re.S)[1])  # type: ignore[index]
    assert [name for name in left_out if not (unit / name).is_file()] == []
    modules = {path.relative_to(unit) for path in unit.rglob("test_*.py")}
    kept = modules - {Path(name) for name in left_out}
    assert {path.parts[:-1][:1] for path in kept} == {path.parts[:-1][:1] for path in modules}


def test_the_changelog_keeps_its_form_and_tells_each_change_once() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    releases = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - (unreleased|\d{4}-\d\d-\d\d)", each) for each in releases)
    assert releases[0].startswith(f"[{PROJECT['version']}]")
    kinds = re.findall(r"^### (.*)$", text, re.MULTILINE)
    assert set(kinds) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    changes = [" ".join(each.split()) for each in re.split(r"^(?:- |#+ .*$)", text, flags=re.MULTILINE)[2:]]
    told = [each for each in changes if each]
    assert len(told) > 100
    assert sorted(set(told)) == sorted(told)
