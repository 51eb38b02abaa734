"""What a newcomer's installation relies on: pins that agree, rules that find their scripts, no trace of one machine."""

import os
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from medtransfer import plan

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = {
    canonicalize_name(requirement.name): requirement
    for requirement in map(Requirement, (ROOT / "requirements.lock").read_text().split())
}
DIRECT = [line for line in (ROOT / "requirements.in").read_text().splitlines() if line and not line.startswith("#")]


def locked(name: str) -> str:
    """The version that the lock pins a distribution to."""
    return str(LOCK[canonicalize_name(name)].specifier).removeprefix("==")


def sources() -> list[Path]:
    """All files of the checkout but those that .gitignore names."""
    ignored = {line.rstrip("/") for line in (ROOT / ".gitignore").read_text().split()} | {".git"}
    found = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in ignored]
        found += [Path(folder, name) for name in files if name not in ignored]
    return found


# --- Dependencies ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", DIRECT)
def test_each_direct_dependency_is_locked_and_says_what_it_is_for(line):
    text, _, reason = line.partition("#")
    requirement = Requirement(text)
    assert reason.strip(), f"requirements.in: {requirement.name} lacks its reason"
    assert requirement.specifier.contains(locked(requirement.name)), f"requirements.lock: run `make lock` for {line}"


def test_the_lock_pins_exact_versions_that_any_machine_can_install():
    for name, requirement in LOCK.items():
        assert re.fullmatch(r"==[0-9][0-9a-z.]*", str(requirement.specifier)), f"{requirement}: not an exact version"
        assert not re.match(r"nvidia-|cuda-|triton", name), f"{name}: torch itself names the companions it needs"


def test_conda_users_get_the_lock_and_nothing_else():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["dependencies"] == [
        f"python {PROJECT['requires-python']}",
        "pip",
        {"pip": ["-r requirements.lock"]},
    ]


@pytest.mark.parametrize(("repository", "name"), [("ruff-pre-commit", "ruff"), ("snakefmt", "snakefmt")])
def test_pre_commit_checks_with_the_locked_versions(repository, name):
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    revisions = {hook["repo"].rsplit("/", 1)[-1]: hook["rev"] for hook in hooks}
    assert revisions[repository] == f"v{locked(name)}"


# --- Rules and scripts -----------------------------------------------------------------------------------------------


def rules() -> dict[str, str]:
    """For each rule its text, from its name to the next rule or to the end of its last indented line."""
    text = "\n".join(path.read_text() for path in [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))])
    _, *parts = re.split(r"^ *(?:rule|checkpoint) (\w+):\n", text + "\n", flags=re.MULTILINE)
    indented = [re.match(r"(?:[ \t]+.*\n|\n)*", part) for part in parts[1::2]]
    return {name: body[0] for name, body in zip(parts[::2], indented, strict=True) if body}


def works(body: str) -> bool:
    """Whether a rule does something, and is not merely the name of a target."""
    return re.search(r"^\s+(script|shell|run|notebook|wrapper):", body, flags=re.MULTILINE) is not None


def test_a_working_rule_has_a_log():
    logged = {name for name, body in rules().items() if re.search(r"^ +log:", body, flags=re.MULTILINE)}
    assert [name for name, body in rules().items() if works(body) and name not in logged] == []


def test_rules_and_their_scripts_have_one_name():
    scripts = {name: re.findall(r'script:\s+"\.\./(.+?)"', body) for name, body in rules().items()}
    scripts = {name: paths for name, paths in scripts.items() if paths}
    assert scripts
    for name, (path,) in scripts.items():
        assert path in (f"workflow_scripts/{name}.py", f"figures/{name}.py"), f"rule {name} runs {path}"
        assert (ROOT / path).is_file(), f"rule {name}: {path} does not exist"


def test_every_script_belongs_to_a_rule():
    scripts = [*(ROOT / "workflow_scripts").glob("*.py"), *(ROOT / "figures").glob("*.py")]
    assert {path.stem for path in scripts} <= {*rules(), *plan.FIGURES, *plan.TABLES}


# --- The checkout ----------------------------------------------------------------------------------------------------


def test_no_file_holds_a_path_of_one_machine():
    machine = re.compile(rb"(?<![\w.~-])/(?:root|home|Users)/\w")
    assert [str(path.relative_to(ROOT)) for path in sources() if machine.search(path.read_bytes())] == []


def test_version_and_licence_are_the_same_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"] == "Apache-2.0"
    assert f"## [{PROJECT['version']}]" in (ROOT / "CHANGELOG.md").read_text()
    assert "Apache License" in (ROOT / "LICENSE").read_text()


def test_continuous_integration_runs_targets_that_exist():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    (targets,) = re.findall(r"for target in ([\w ]+);", script.read_text())
    makefile = (ROOT / "Makefile").read_text()
    assert [name for name in targets.split() if not re.search(rf"^{name}:", makefile, flags=re.MULTILINE)] == []
