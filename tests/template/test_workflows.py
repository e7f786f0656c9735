"""The workflows of GitHub call commands that exist, with the least rights, and pin every action to a commit."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import punctual
from tools.publishing import dist

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS = {path.name: yaml.safe_load(path.read_text()) for path in sorted(FOLDER.glob("*.yml"))}
ON_THE_RUNNER = ("echo", "gh", "rm")
"""Commands that a runner has."""
JOBS = [
    pytest.param(name, job, id=f"{name}-{title}")
    for name, workflow in WORKFLOWS.items()
    for title, job in workflow["jobs"].items()
]


def steps(job):
    return job.get("steps", [])


def lines(job):
    """Return the command lines of a job."""
    return [line for step in steps(job) for line in step.get("run", "").splitlines() if line.strip()]


def test_there_are_a_workflow_for_changes_and_one_for_releases():
    assert {"ci.yml", "release.yml"} <= set(WORKFLOWS)


def test_a_change_runs_the_same_script_as_on_a_laptop():
    (job,) = WORKFLOWS["ci.yml"]["jobs"].values()
    assert [".ci/run"] == lines(job)


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_every_command_exists(name, job):
    """A script is in the repository and may be run, and a target is in the Makefile with its variables."""
    makefile = (ROOT / "Makefile").read_text()
    for line in lines(job):
        command, *words = line.split()
        if command == "make":
            assert re.search(rf"^{words[0]}:", makefile, re.MULTILINE), line
            assert all(f"$({word.partition('=')[0]})" in makefile for word in words[1:]), line
        elif "/" in command:
            assert os.access(ROOT / command, os.X_OK), line
        else:
            assert command in ON_THE_RUNNER, line


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_every_action_is_pinned_to_a_commit_with_its_version_beside_it(name, job):
    """A tag can be moved to other code."""
    text = (FOLDER / name).read_text()
    for step in steps(job):
        if "uses" in step:
            assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", step["uses"])
            assert re.search(rf"{step['uses']} # v\d+\.\d+\.\d+$", text, re.MULTILINE)
    if "uses" in job:
        assert (ROOT / job["uses"]).is_file()


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_every_job_has_an_end_and_names_what_it_needs(name, job):
    jobs = WORKFLOWS[name]["jobs"]
    assert "uses" in job or job["timeout-minutes"] <= 60
    needed = job.get("needs", [])
    assert {*(needed if isinstance(needed, list) else [needed])} <= set(jobs)


@pytest.mark.parametrize(("name", "workflow"), WORKFLOWS.items())
def test_a_workflow_may_only_read_unless_a_job_says_more(name, workflow):
    assert {"contents": "read"} == workflow["permissions"]
    for job in workflow["jobs"].values():
        if job.get("permissions", {}).get("id-token") == "write":
            assert job["environment"], "a token for another service is bound to an environment"


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_no_expression_stands_in_a_command(name, job):
    """A name of a branch could bring a command along. Variables of the environment are data."""
    assert not [line for line in lines(job) if "${{" in line]


def test_nothing_is_released_before_everything_was_checked():
    jobs = WORKFLOWS["release.yml"]["jobs"]
    assert "check" == jobs["build"]["needs"]
    assert {"build"} == {jobs[name]["needs"] for name in ("github", "pypi", "sar")}
    assert "workflow_call" in WORKFLOWS["ci.yml"][True], "YAML reads the key `on` as true"


def test_the_python_of_the_workflows_is_the_one_of_lambda(template):
    runtime = template["Globals"]["Function"]["Runtime"]
    versions = {
        step["with"]["python-version"]
        for workflow in WORKFLOWS.values()
        for job in workflow["jobs"].values()
        for step in steps(job)
        if "setup-python" in step.get("uses", "")
    }
    assert {runtime.removeprefix("python")} == versions


CHANGELOG = f"# Changelog\n\n## [{punctual.__version__}] - 2030-01-01\n"


@pytest.mark.parametrize(
    ("tag", "changelog", "complaint"),
    [
        (f"v{punctual.__version__}", CHANGELOG, ""),
        ("v0.0.1", CHANGELOG, "the tag is v0.0.1, and the version is "),
        ("", CHANGELOG, "the tag is missing"),
        (f"v{punctual.__version__}", "## [Unreleased]\n", "CHANGELOG.md has no heading"),
    ],
)
def test_a_release_needs_a_tag_and_an_entry_of_its_version(tag, changelog, complaint):
    found = dist.refused(tag, changelog)
    assert found.startswith(complaint)
    assert bool(found) == bool(complaint)


def test_a_wrong_tag_ends_the_build_with_one_line():
    command = [sys.executable, "-m", "tools.publishing.dist", "dist", "v0.0.1"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (1, "") == (ended.returncode, ended.stdout)
    assert re.fullmatch(r"error: the tag is v0\.0\.1, .*\n", ended.stderr)


def test_the_template_of_a_release_names_the_functions_beside_it(tmp_path):
    """`aws cloudformation package` uploads them. It would look for licence and readme, too."""
    dist.write_stack(tmp_path)
    code, template = sorted(tmp_path.iterdir())
    text = template.read_text()
    assert f"CodeUri: {code.name}\n" in text
    assert "functions/\n" not in text
    assert not re.search("LicenseUrl|ReadmeUrl", json.dumps(text))
    dist.write_checksums(tmp_path)
    listed = (tmp_path / "SHA256SUMS").read_text().splitlines()
    assert [code.name, template.name] == [line.split("  ")[1] for line in listed]


def test_the_page_about_releases_names_what_the_workflow_needs():
    page = (ROOT / "docs" / "releases.md").read_text()
    text = (FOLDER / "release.yml").read_text()
    for name in re.findall(r"vars\.(\w+)", text):
        assert f"`{name}`" in page
    for environment in re.findall(r"environment: (\w+)", text):
        assert f"environment `{environment}`" in page
