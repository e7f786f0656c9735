"""The example in TypeScript compiles with types from the document, and works with the API."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from punctual.local.api_server import ApiServer
from punctual.local.emulation.isolation import HOST
from punctual.testing import Stack
from tools.api_definition import DOCUMENT_PATH, ROOT

EXAMPLE = Path("examples") / "typescript"
COMMANDS = ("npm ci", "npm run types", "npm run build")

pytestmark = pytest.mark.slow


def run(words, folder, **variables):
    environment = os.environ | {"NO_PROXY": HOST, "NO_COLOR": "1"} | variables
    ended = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert 0 == ended.returncode, ended.stdout + ended.stderr
    return ended.stdout


def test_the_lock_names_no_registry():
    """The machine that installs the packages decides where they come from. Their hashes are fixed."""
    lock = json.loads((ROOT / EXAMPLE / "package-lock.json").read_text())
    assert "omit-lockfile-registry-resolved=true" in (ROOT / EXAMPLE / ".npmrc").read_text()
    packages = {name: each for name, each in lock["packages"].items() if name}
    assert packages
    for name, each in packages.items():
        assert "resolved" not in each, name
        assert each["integrity"].startswith("sha512-"), name
    assert "://" not in json.dumps(lock)


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_the_example_compiles_and_works(tmp_path):
    """The commands are those of its README. No script of a package runs."""
    folder, document = tmp_path / EXAMPLE, tmp_path / DOCUMENT_PATH.relative_to(ROOT)
    ignored = shutil.ignore_patterns("node_modules", "built", "api.d.ts")
    shutil.copytree(ROOT / EXAMPLE, folder, ignore=ignored)
    document.parent.mkdir(parents=True)
    shutil.copy(DOCUMENT_PATH, document)
    readme = (folder / "README.md").read_text()
    for command in COMMANDS:
        assert f"    {command}\n" in readme
        run(
            command.split(), folder, npm_config_ignore_scripts="true", npm_config_audit="false", npm_config_fund="false"
        )
    with ApiServer(lambda: Stack(ApiEnabled=True)) as server:
        told = run(["node", "built/main.js"], folder, PUNCTUAL_API_URL=server.url, PUNCTUAL_API_KEY=server.new_key())
    lines = told.splitlines()
    assert ["created", "order/7", "as expected: Not found", "cancelled"] == [
        " ".join(line.split(" ")[: 4 if line.startswith("as") else 1]) for line in lines
    ]
