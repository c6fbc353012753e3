"""The credentials that Kaggle's client sends: where they come from, and what is wrong with them.

The client reports neither. It has an order of its own, and ignores a damaged file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

from ferpipe.core.errors import PipelineError

SETTINGS = "https://www.kaggle.com/settings"
WAYS = (
    f"make a token at {SETTINGS} and set KAGGLE_API_TOKEN or write it to ~/.kaggle/access_token; "
    "or set KAGGLE_USERNAME and KAGGLE_KEY; or put kaggle.json in $KAGGLE_CONFIG_DIR, ~/.kaggle "
    "or ~/.config/kaggle (read only if ~/.kaggle does not exist); or run `kaggle auth login`"
)


class Credentials(NamedTuple):
    """Where the credentials are, a file or variables; a token has priority over all keys."""

    name: str
    token: bool = False


def find(api: Any) -> Credentials | None:
    """The credentials that the client will send, in its own order; None if it has none."""
    from kagglesdk import get_access_token_from_env

    token, variable = get_access_token_from_env()
    values = api.config_values if isinstance(api.config_values, dict) else {}
    config = Path(api.config)
    if token:
        name = "~/.kaggle/access_token" if variable == "access_token" else variable
        return Credentials(name, token=True)
    if values.get("username") and values.get("key"):
        variables = "KAGGLE_USERNAME and KAGGLE_KEY"
        return Credentials(variables if "KAGGLE_KEY" in os.environ else str(config))
    if config.is_file():
        invalid = f"{config} is not a Kaggle key: it should be JSON with username and key"
        raise PipelineError(f"{invalid}; make a new one at {SETTINGS}")
    pair = {"KAGGLE_USERNAME", "KAGGLE_KEY"}
    if len(given := pair & os.environ.keys()) == 1:
        (missing,) = pair - given
        raise PipelineError(f"{given.pop()} is set and {missing} is not; set both, or neither")
    for name in ("~/.kaggle/kaggle.json", "~/.kaggle/credentials.json"):
        # The first is sent even if KAGGLE_CONFIG_DIR is another folder.
        if Path(name).expanduser().is_file():
            return Credentials(name)
    return None


def notes(credentials: Credentials | None, dataset: str) -> list[str]:
    """What to print about the credentials, whatever the result of the download."""
    if credentials is None:
        return [f"no Kaggle credentials found; requesting {dataset} without any"]
    file = Path(credentials.name).expanduser()
    if os.name != "nt" and file.is_file() and file.stat().st_mode & 0o077:
        return [f"WARNING: others on this machine can read {file}; run `chmod 600 {file}`"]
    return []
