"""The public names of `mgrisk`, the reference page and the docstrings agree."""

from __future__ import annotations

import doctest
import inspect
import re
import subprocess
import sys
from enum import Enum
from pathlib import Path
from pydoc import locate
from types import ModuleType
from typing import Any

import mgrisk

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "python.md"


def public() -> dict[str, Any]:
    """Return every public function and class by its public name, those of public modules among them."""
    found: dict[str, Any] = {}
    for name in dir(mgrisk):
        value = getattr(mgrisk, name)
        if isinstance(value, ModuleType):
            found |= {f"mgrisk.{name}.{each}": getattr(value, each) for each in value.__all__}
        elif name != "__version__":
            found[f"mgrisk.{name}"] = value
    return found


def test_the_names_are_all_there_and_no_others() -> None:
    assert set(dir(mgrisk)) == set(mgrisk.__all__)
    assert len(public()) > 15
    assert dir(mgrisk.survey) == mgrisk.survey.__all__


def test_each_has_a_place_on_the_page_and_everything_on_the_page_is_there() -> None:
    listed = {each: locate(each) for each in re.findall(r"^::: (\S+)$", PAGE.read_text("utf-8"), re.MULTILINE)}
    assert [each for each, value in listed.items() if value is None] == []
    on_page = {id(value) for value in listed.values()}
    assert [name for name, value in public().items() if id(value) not in on_page] == []
    named = set(
        re.findall(
            r"(?<!from )\bmgrisk\.(?:survey\.|metrics\.)?[A-Za-z_]\w*", PAGE.read_text("utf-8").split("\n## ")[0]
        )
    )
    assert named - public().keys() <= {"mgrisk.errors"}


def test_each_says_what_it_takes_and_each_function_shows_an_example() -> None:
    for name, value in public().items():
        told = inspect.getdoc(value)
        assert told, name
        if inspect.isclass(value) and issubclass(value, Enum):
            continue
        assert re.search(r"^(Parameters|Attributes)(\n-|, )", told, re.MULTILINE), f"{name} does not say what it takes"
        if inspect.isfunction(value):
            assert doctest.DocTestParser().get_examples(told), f"{name} shows no example"


def test_the_import_is_light() -> None:
    code = "import sys, mgrisk; dir(mgrisk); print(sorted({'numpy', 'pandas', 'sklearn', 'scipy'} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"
