"""A reader of examples/: types the commands of a README into one shell, and deploys the application to the local AWS.

Two commands are replaced. `sam deploy` and `punctual deploy` only print their arguments, and the local deployment takes
them from there. tests/cli/deploying runs the real `punctual deploy`.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from punctual.local.deployment import Stack, deploy
from punctual.local.emulation.emulator import Emulator

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
CLIENT = ("__init__.py", "client", "receiving")
"""The parts of the package that functions import."""
MARK = "-- end of the block --"
REPLACED = """
set -eu
aws() { command aws --endpoint-url "$AWS_ENDPOINT_URL" "$@"; }
sam() { test "$1" = build || printf '%s\\n' "$@"; }
punctual() { if test "$1" = deploy; then printf '%s\\n' "$@"; else command punctual "$@"; fi; }
"""
# The AWS CLI of the tests is version 1. It ignores AWS_ENDPOINT_URL for SQS, takes payloads as they are, and lacks the
# option for that.
OPTION_OF_VERSION_2 = " --cli-binary-format raw-in-base64-out"
FUNCTION_URL = "!GetAtt ReceiverFunctionUrl.FunctionUrl"


class Reader:
    """One example, the blocks of its README, and a shell that runs them one after the other in a copy of its folder."""

    def __init__(self, name: str, emulator: Emulator, folder: Path) -> None:
        self.name, self.emulator = name, emulator
        self.folder = folder / name
        shutil.copytree(EXAMPLES / name, self.folder, ignore=shutil.ignore_patterns("__pycache__", ".aws-sam"))
        text = (self.folder / "README.md").read_text(encoding="utf-8")
        self.deploying, *self.blocks = re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        self.environment = environment(emulator, folder)
        self._shell = subprocess.Popen(
            ["sh"], env=self.environment, cwd=self.folder, start_new_session=True, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self._type(REPLACED)

    def run(self, block: str) -> str:
        """Run a block in the shell and return its output. Fail if a command or a function fails."""
        (self.folder / "block.sh").write_text(block.replace(OPTION_OF_VERSION_2, ""), encoding="utf-8")
        self._type(f". ./block.sh < /dev/null\nprintf '\\n%s\\n' '{MARK}'\n")
        assert self._shell.stdout is not None
        lines: list[str] = []
        for line in self._shell.stdout:
            if line.rstrip("\n") == MARK:
                break
            lines.append(line)
        else:
            raise AssertionError(f"{self.name}: the shell ended at a command:\n{''.join(lines)}")
        output = "".join(lines)
        assert "FunctionError" not in output, output
        return output

    def deploy(self, changed: Mapping[str, object]) -> Stack:
        """Deploy the application as its README says, with some parameters changed for the test."""
        _deploy, *words = self.run(self.deploying).split()
        stack_name = words[words.index("--stack-name") + 1]
        given = dict(word.split("=", 1) for word in words[words.index("--parameter-overrides") + 1 :])
        self._install()
        self._lead_to_the_emulator()
        return deploy(self.emulator, self.folder / "template.yaml", stack_name, {**given, **changed})

    def allowed(self) -> dict[str, str]:
        """Run the block with `punctual deploy`, if there is one. Return the parameters for the stack of Punctual."""
        if not self.blocks[0].startswith("punctual deploy"):
            return {}
        _deploy, *words = self.run(self.blocks.pop(0)).split()
        assert set(words[::2]) == {"--parameter"}
        return dict(word.split("=", 1) for word in words[1::2])

    def close(self) -> None:
        """End the shell, and whatever still runs in it."""
        os.killpg(self._shell.pid, signal.SIGKILL)
        self._shell.wait()
        for stream in (self._shell.stdin, self._shell.stdout):
            assert stream is not None
            with contextlib.suppress(BrokenPipeError):  # The shell may have ended before it read everything.
                stream.close()

    def _type(self, text: str) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.write(text)
        self._shell.stdin.flush()

    def _install(self) -> None:
        """Put the client beside the code, as `sam build` does for requirements.txt."""
        if (self.folder / "src" / "requirements.txt").exists():
            for part in CLIENT:
                source, target = ROOT / "punctual" / part, self.folder / "src" / "punctual" / part
                if source.is_dir():
                    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    target.parent.mkdir(exist_ok=True)
                    shutil.copy(source, target)

    def _lead_to_the_emulator(self) -> None:
        """Change the outputs with a function URL to the address under which the local AWS serves it."""
        path = self.folder / "template.yaml"
        text = path.read_text(encoding="utf-8")
        id_of_the_url = f"!Select [0, !Split [., !Select [2, !Split [/, {FUNCTION_URL}]]]]"
        url = f'!Join ["", ["{self.emulator.endpoint_url}/_aws/lambda-url/", {id_of_the_url}, /]]'
        text = text.replace(f"Value: {FUNCTION_URL}\n", f"Value: {url}\n")
        host = f'Value: !Select [2, !Split ["/", {FUNCTION_URL}]]\n'
        path.write_text(text.replace(host, f"Value: {self.emulator.endpoint_url}\n"), encoding="utf-8")


def environment(emulator: Emulator, folder: Path) -> dict[str, str]:
    """Return the variables of a shell that is connected to the local AWS, and that has the command `punctual`."""
    commands = folder / "bin"
    commands.mkdir(exist_ok=True)
    command = commands / "punctual"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m punctual "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    path = os.pathsep.join([str(commands), str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**emulator.environment(), "PATH": path, "HOME": str(folder), "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"}
