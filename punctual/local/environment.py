"""Write the file that connects a shell to the local stack, `. .punctual/env`, and suggest the next commands.

Afterwards the command `punctual`, the aws command line and every AWS SDK reach the local AWS and nothing else.
"""

import contextlib
import os
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from punctual.local.deployment import Stack
from punctual.local.emulation.isolation import HOST

ENVIRONMENT_NAME = "env"
SERVICES = ("CLOUDFORMATION", "DYNAMODB", "EVENTS", "LAMBDA", "LOGS", "S3", "SNS", "SQS", "STS")
# They would lead elsewhere, or win over the variables of the file.
UNSET = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CA_BUNDLE",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    *(f"AWS_ENDPOINT_URL_{service}" for service in SERVICES),
)
PACKAGES = Path(__file__).parents[2]
COMMAND = f"import sys; sys.path.insert(0, {str(PACKAGES)!r}); from punctual.cli.app import main; sys.exit(main())"
"""Runs the command `punctual` of this package, wherever the shell is."""
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def variables(stack: Stack) -> dict[str, str]:
    """Return the variables of the file: endpoint, credentials, region, the stack's name and every output."""
    connection = {name: value for name, value in stack.emulator.environment().items() if name != "NO_PROXY"}
    outputs = {output_variable(name): value for name, value in stack.outputs.items()}
    return {**connection, "PUNCTUAL_STACK": stack.name, **outputs}


def output_variable(output: str) -> str:
    """Return the variable of an output: `OutputQueueUrl` is `PUNCTUAL_OUTPUT_QUEUE_URL`."""
    return f"PUNCTUAL_{_WORDS.sub('_', output).upper()}"


def text(stack: Stack) -> str:
    """Return the file's text. Any POSIX shell can source it."""
    lines = [
        f"# Connects a shell to the local stack at {stack.emulator.endpoint_url}, until that ends.",
        f"unset {' '.join(UNSET)}",
        *(f"export {name}={shlex.quote(value)}" for name, value in variables(stack).items()),
        # In a checkout there is no such command. Elsewhere it is that of the version that runs here.
        "unalias punctual 2>/dev/null || :",
        f'punctual() {{ {shlex.quote(sys.executable)} -c {shlex.quote(COMMAND)} "$@"; }}',
        # Version 1 of the aws command line ignores AWS_ENDPOINT_URL for SQS.
        "unalias aws 2>/dev/null || :",
        'aws() { command aws --endpoint-url "$AWS_ENDPOINT_URL" "$@"; }',
        *(f'export {name}="{HOST}${{{name}:+,${name}}}"' for name in ("NO_PROXY", "no_proxy")),
    ]
    return "\n".join(lines) + "\n"


@contextlib.contextmanager
def environment_file(stack: Stack, folder: Path) -> Iterator[Path]:
    """Write the file for the time of the block. Keep it afterwards only if another local stack has replaced it."""
    folder.mkdir(parents=True, exist_ok=True)
    path, written = folder / ENVIRONMENT_NAME, text(stack)
    replaced_by(path, written)
    try:
        yield path
    finally:
        with contextlib.suppress(FileNotFoundError):
            if path.read_text() == written:
                path.unlink()
        with contextlib.suppress(OSError):  # It holds a state, or the file of another local stack.
            folder.rmdir()


def replaced_by(path: Path, written: str) -> None:
    """Replace the file at once, so that a shell never reads half of it. Only this user can read it."""
    scratch = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        scratch.touch(mode=0o600)
        scratch.write_text(written, encoding="utf-8")
        scratch.replace(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


def suggestions() -> str:
    """Return commands and Python lines that schedule something and receive it."""
    return f"""
Try it from another shell in this folder, after `. .punctual/env`:

{command()}

Or with the AWS CLI:

{shell()}

Or in Python ({sys.executable}):

{python()}
"""


def command() -> str:
    return """\
punctual schedule hello --in 10s
punctual tail"""


def shell() -> str:
    # fileb:// works with both versions of the aws command line: version 2 would expect a plain payload in base64.
    return """\
echo '{"delay": 10, "data": "hello"}' |
aws lambda invoke --function-name "$PUNCTUAL_SCHEDULE_FUNCTION" \\
    --payload fileb:///dev/stdin /dev/stdout
aws sqs receive-message --queue-url "$PUNCTUAL_OUTPUT_QUEUE_URL" \\
    --wait-time-seconds 20 --message-attribute-names All"""


def python() -> str:
    return """\
from punctual import Scheduler
scheduler = Scheduler()
print(scheduler.schedule("hello", delay=10).id)
for message in scheduler.messages():
    print(message.id, message.data)
    message.delete()
    break"""
