"""A recipe's code does not change unnoticed: its version, which re-runs what was made with it, is raised on purpose."""

import ast
import hashlib
import json
from pathlib import Path

import pytest

from medtransfer import versions
from tests.conftest import ROOT

LIBRARY = ROOT / "workflow_scripts" / "medtransfer"
RECORD = ROOT / "tests" / "golden" / "versions.json"


def _without_docstrings(tree: ast.AST) -> ast.AST:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return tree


def code_digest(recipe: str) -> str:
    """Digest of what a recipe's modules do: comments, docstrings and layout do not count."""
    paths: list[Path] = []
    for name in versions.CODE[recipe]:
        place = LIBRARY / name
        paths += sorted(place.rglob("*.py")) if place.is_dir() else [place]
    trees = [ast.dump(_without_docstrings(ast.parse(path.read_text()))) for path in paths]
    return hashlib.sha256("\n".join(trees).encode()).hexdigest()


def current() -> dict[str, dict[str, object]]:
    """Version and digest of every recipe."""
    return {name: {"version": getattr(versions, name), "code": code_digest(name)} for name in versions.CODE}


@pytest.mark.parametrize("recipe", versions.CODE)
def test_code_and_version_change_together(recipe: str) -> None:
    recorded, now = json.loads(RECORD.read_text())[recipe], current()[recipe]
    assert now == recorded, (
        f"The code of recipe {recipe} is not the recorded one. If results change with it, raise {recipe} in "
        "medtransfer/versions.py, which re-runs what was made with it. Then record the code: "
        "python -m tests.test_versions"
    )


def test_every_recipe_module_exists() -> None:
    for names in versions.CODE.values():
        for name in names:
            assert (LIBRARY / name).exists()


def test_comments_do_not_count_and_code_does() -> None:
    one, same, other = ('"""Doc."""\nx = 1  # why', "x = 1", "x = 2")
    dumps = [ast.dump(_without_docstrings(ast.parse(text))) for text in (one, same, other)]
    assert dumps[0] == dumps[1] != dumps[2]


if __name__ == "__main__":
    RECORD.write_text(json.dumps(current(), indent=2) + "\n")
