"""What README, ARCHITECTURE and CONTRIBUTING say is held against the source."""

from __future__ import annotations

import ast
import importlib
import re
import tomllib
from pathlib import Path

import pytest

from dockwright.api import flags

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
SOURCE = ROOT / "src/dockwright"


def test_every_make_target_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"(?:^    |`)make ([a-z]+)", README + CONTRIBUTING + ARCHITECTURE, re.M))
    assert {"demo", "test", "setup", "bench"} <= named
    assert named <= set(re.findall(r"^([a-z]+):", makefile, re.M))


@pytest.mark.parametrize("command", sorted(set(re.findall(r"bin/dockwright ([a-z]+(?: [a-z]+(?= ))?)", README))))
def test_every_command_that_the_readme_uses_exists(command: str) -> None:
    from dockwright.cli import index

    assert index.find(command.split()) is not None


def test_every_flag_that_is_named_exists() -> None:
    from dockwright.cli import index

    daemons = {f"--{flag.name}" for flag in flags.FLAGS}
    commands = {f"--{flag.name}" for command in index.everything() for flag in command.flags}
    assert set(re.findall(r"`(--[a-z-]+)`", (ROOT / "CHANGELOG.md").read_text())) <= daemons | commands
    assert set(re.findall(r"dockwrightd[^\n`]*?(--[a-z-]+)", README)) <= daemons


def test_the_readme_program_is_python_and_its_imports_exist() -> None:
    (program,) = re.findall(r"```python\n(.*?)```", README, re.S)
    tree = ast.parse(program)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            module = importlib.import_module(node.module)
            for name in node.names:
                assert hasattr(module, name.name)


@pytest.mark.parametrize("page", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text()):
        assert (ROOT / target).exists(), target


def test_files_that_are_named_exist() -> None:
    for page in (README, ARCHITECTURE):
        for path in re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.(?:py|sh))`", page):
            assert (SOURCE / path).exists() or (ROOT / path).exists(), path


def test_the_floors_of_the_docs_are_those_that_lint_holds() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["name"].startswith("the floors"))
    names = {name.strip().removeprefix("dockwright.") for layer in layers for name in layer.split("|")}
    packages = {
        path.name for path in SOURCE.iterdir() if path.is_dir() and path.name not in ("__pycache__", "cli", "client")
    }
    assert packages <= names
    for page in (ARCHITECTURE, CONTRIBUTING):
        assert not [name for name in packages if name not in page]
