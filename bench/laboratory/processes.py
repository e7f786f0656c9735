"""Run the processes of the bench: the stand-in, and a fresh worker for every trial. None outlives the bench."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).parents[2]
TRIAL_S_MAX = 600
STOP_S_MAX = 10


class Laboratory:
    """A stand-in, a copy of the functions as they are deployed, and one worker at a time."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="punctual-bench-"))
        self._functions = self.folder / "functions"
        # The copy has no compiled files, like the deployed functions. An edit of the sources during a run does not
        # affect it.
        leave = shutil.ignore_patterns("__pycache__", ".*")
        shutil.copytree(ROOT / "functions", self._functions, ignore=leave)
        self.standin = subprocess.Popen(
            [sys.executable, "-m", "bench.laboratory.standin"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._workers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Laboratory:
        try:
            self._begin()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        for worker in self._workers:
            worker.kill()
            worker.wait()
        assert self.standin.stdin is not None
        assert self.standin.stdout is not None
        self.standin.stdin.close()
        self.standin.stdout.close()
        try:
            self.standin.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self.standin.kill()
            self.standin.wait()
        shutil.rmtree(self.folder)

    @property
    def functions(self) -> list[str]:
        """Return the names of all handlers."""
        return sorted(path.stem for path in self._functions.glob("*.py"))

    def control(self, order: str, **body: Any) -> Any:
        request = urllib.request.Request(f"{self.url}/_standin/{order}", json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=TRIAL_S_MAX) as answer:
            return json.load(answer)

    def run(self, **trial: Any) -> dict[str, Any]:
        """Run one trial in a fresh process."""
        (outcome,) = self.run_together([trial])
        return outcome

    def run_together(self, trials: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Run all trials at once, each in its own process."""
        paths = [self.folder / f"outcome-{index}.json" for index in range(len(trials))]
        for trial, path in zip(trials, paths, strict=True):
            self._workers.append(self._start(trial, path))
        try:
            for worker in self._workers:
                if worker.wait(TRIAL_S_MAX):
                    raise RuntimeError(f"a trial failed: {trials}")
        finally:
            for worker in self._workers:
                worker.kill()
                worker.wait()
            self._workers.clear()
        outcomes = [json.loads(path.read_text()) for path in paths]
        for path in paths:
            path.unlink()
        return outcomes

    def _begin(self) -> None:
        assert self.standin.stdout is not None
        port = self.standin.stdout.readline().strip().decode()
        if not port:
            raise RuntimeError("the stand-in did not start")
        self.url = f"http://127.0.0.1:{port}"
        self._compile()

    def _compile(self) -> None:
        """Import boto3 once so that Python writes its compiled files, which a fresh environment may lack."""
        trial = json.dumps({"trial": "start", "who": "reference", "clients": ["dynamodb", "sqs", "lambda"]})
        environment = self._environment({})
        del environment["PYTHONDONTWRITEBYTECODE"]
        command = [
            sys.executable,
            "-m",
            "bench.laboratory.worker",
            trial,
            str(self._functions),
            str(self.folder / "compiled"),
        ]
        subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=TRIAL_S_MAX)

    def _start(self, trial: dict[str, Any], path: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "bench.laboratory.worker", json.dumps(trial), str(self._functions), str(path)],
            cwd=ROOT,
            env=self._environment(trial),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # The functions write their log lines there.
        )

    def _environment(self, trial: dict[str, Any]) -> dict[str, str]:
        """Return the environment that Lambda and the template would set, with credentials that open nothing."""
        path = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return path | {
            "PYTHONDONTWRITEBYTECODE": "1",
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nothing",
            "AWS_EC2_METADATA_DISABLED": "true",
            "TABLE_NAME": "table",
            "OUTPUT_QUEUE_URL": f"{self.url}/000000000000/output",
            "FAILURE_QUEUE_URL": f"{self.url}/000000000000/failures",
            "DELIVERY_QUEUE_URL": f"{self.url}/000000000000/delivery",
            "INPUT_QUEUE_URL": f"{self.url}/000000000000/input",
            "DEAD_LETTER_QUEUE_URL": f"{self.url}/000000000000/dead-letters",
            "CANARY_QUEUE_URL": f"{self.url}/000000000000/canary",
            "CANARY_QUEUE_ARN": "arn:aws:sqs:us-east-1:000000000000:canary",
            "STACK_NAME": "punctual",
            "SCHEDULE_FUNCTION": "schedule",
            "FEED_FUNCTION": "feed",
            "PARTITION_COUNT": str(trial.get("partition_count", 1)),
            "REACH_SECONDS": "900",
            **trial.get("variables", {}),
        }
