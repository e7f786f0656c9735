"""What a local AWS and its clients see of the user's machine: no profiles, no proxies, and loopback only."""

import os
from pathlib import Path
from typing import Any

import boto3
import botocore.session

HOST = "127.0.0.1"
REGION = "us-east-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}  # To ministack, the account's owner.

# The variables that a program needs to run. All others are removed, above all AWS_* and ministack's own settings.
ENVIRONMENT_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "TMPDIR")
NOWHERE = "/nonexistent"


def server_environment(port: int, mark: str, settings: dict[str, str], state_folder: Path | None) -> dict[str, str]:
    """Return the environment variables of ministack and of the functions that it runs."""
    environment = {name: os.environ[name] for name in ENVIRONMENT_KEPT if name in os.environ}
    environment |= {
        **CREDENTIALS,
        **isolation(),
        **settings,
        "BIND_HOST": HOST,  # Its default is every interface.
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": HOST,
        "MINISTACK_EDITION": mark,
        "IOT_MTLS_ENABLED": "0",  # Otherwise it opens port 8883 on every interface.
        "SFTP_ENABLED": "0",
        # If ministack finds Docker, it removes the containers of every ministack, also those of other users.
        "DOCKER_HOST": f"unix://{NOWHERE}",
        "LOG_LEVEL": "INFO",
    }
    if state_folder is not None:
        environment |= {
            "PERSIST_STATE": "1",
            "STATE_DIR": str(state_folder / "services"),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(state_folder / "s3"),
        }
    return environment


def isolation() -> dict[str, str]:
    """Return variables that disable the user's own profiles, the metadata service and proxies."""
    return {
        "AWS_CONFIG_FILE": NOWHERE,
        "AWS_SHARED_CREDENTIALS_FILE": NOWHERE,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": HOST,
    }


def isolated_session(region: str) -> Any:
    """Return a session that ignores the AWS_* variables and the profiles of the user."""
    core = botocore.session.Session(
        session_vars={
            "profile": (None, None, None, None),
            "config_file": (None, None, NOWHERE, None),
            "credentials_file": (None, None, NOWHERE, None),
            "ca_bundle": (None, None, None, None),
        }
    )
    return boto3.session.Session(
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        region_name=region,
        botocore_session=core,
    )
