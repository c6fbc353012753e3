"""One download with Kaggle's official client, in a process of its own.

Run with `-m` by `sources/kaggle.py`, under its deadline. Credentials go into the client and
nowhere else: what the parent hears is a file with one sentence.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from ferpipe.errors import PipelineError

SETTINGS = "https://www.kaggle.com/settings"
RESULT = "result.json"


class MayPass(PipelineError):
    """A failure that another try may not meet."""


def _page(dataset: str) -> str:
    return f"https://www.kaggle.com/datasets/{dataset}"


def by_hand(dataset: str) -> str:
    """The remedy that always works."""
    return (
        f"download the zip by hand from {_page(dataset)} and set download.source: local and "
        "download.local.path to it"
    )


def client_process(dataset: str, version: str, folder: Path) -> None:
    """Download once and write the outcome to `folder`, for the parent to read."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches both; the parent then kills this
    threading.Thread(target=_end_with_parent, daemon=True).start()
    outcome: dict[str, Any] = {"problem": None, "may_pass": False}
    try:
        _call_client(dataset, version, folder)
    except PipelineError as error:
        outcome = {"problem": str(error), "may_pass": isinstance(error, MayPass)}
    except Exception as error:
        problem = f"the Kaggle client failed ({_cause(error)}); try again, or {by_hand(dataset)}"
        outcome["problem"] = problem
    (folder / RESULT).write_text(json.dumps(outcome), encoding="utf-8")


def _end_with_parent() -> None:
    """Wait for the end of the pipe, which comes however the parent ends."""
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


def _call_client(dataset: str, version: str, folder: Path) -> None:
    import kaggle  # authenticates, which may take a request
    import requests

    credentials = _credentials(kaggle.api)
    if credentials is None:
        raise PipelineError(_no_credentials(Path(kaggle.api.config), dataset))
    try:
        kaggle.api.dataset_download_files(
            f"{dataset}/{version}" if version else dataset,
            path=str(folder),
            force=True,
            unzip=False,
            quiet=not sys.stderr.isatty(),
        )
    except requests.exceptions.HTTPError as error:
        raise _refusal(error.response.status_code, dataset, version, credentials) from None
    except requests.exceptions.SSLError as error:
        raise PipelineError(
            f"the connection to Kaggle cannot be trusted ({_cause(error)}); behind a proxy that "
            "opens TLS, set REQUESTS_CA_BUNDLE to its certificate"
        ) from None
    except (
        requests.exceptions.ConnectionError,
        requests.exceptions.Timeout,
        requests.exceptions.ChunkedEncodingError,
    ) as error:
        raise MayPass(f"the connection to Kaggle failed ({_cause(error)})") from None


def _credentials(api: Any) -> str | None:
    """Where the credentials that the client will send come from; None if it has none."""
    from kagglesdk import get_access_token_from_env

    token, variable = get_access_token_from_env()
    values = api.config_values if isinstance(api.config_values, dict) else {}
    if token:
        return "~/.kaggle/access_token" if variable == "access_token" else variable
    if values.get("username") and values.get("key"):
        in_environment = "KAGGLE_KEY" in os.environ
        return "KAGGLE_USERNAME and KAGGLE_KEY" if in_environment else str(api.config)
    login = Path("~/.kaggle/credentials.json")
    return str(login) if login.expanduser().is_file() else None


def _no_credentials(config: Path, dataset: str) -> str:
    if config.is_file():
        return (
            f"{config} is not a Kaggle key: it should be JSON with username and key; make a new "
            f"one at {SETTINGS}"
        )
    return (
        f"no Kaggle credentials found; make a token at {SETTINGS} and set KAGGLE_API_TOKEN or "
        "write it to ~/.kaggle/access_token; or set KAGGLE_USERNAME and KAGGLE_KEY; or put "
        "kaggle.json in $KAGGLE_CONFIG_DIR, ~/.kaggle or ~/.config/kaggle (read only if ~/.kaggle "
        f"does not exist); or run `kaggle auth login`; or {by_hand(dataset)}"
    )


def _refusal(status: int, dataset: str, version: str, credentials: str) -> PipelineError:
    """What an HTTP status means, and what to do about it."""
    if status == 401:
        return PipelineError(
            f"Kaggle refuses the credentials in {credentials} (401); make new ones at {SETTINGS}"
        )
    if status == 403:
        return PipelineError(
            f"Kaggle does not let this account download {dataset} (403); open {_page(dataset)} in "
            "a browser and accept its terms; if it is private, its owner must share it; if there "
            "is no such page, correct download.kaggle.dataset"
        )
    if status == 404:
        asked = f"{dataset}, version {version}" if version else dataset
        return PipelineError(
            f"Kaggle has no {asked} (404); correct download.kaggle.dataset or "
            f"download.kaggle.version, see {_page(dataset)}"
        )
    if status == 429 or status >= 500:
        return MayPass(f"Kaggle answered {status} for {dataset}")
    return PipelineError(f"Kaggle answered {status} for {dataset}; {by_hand(dataset)}")


def _cause(error: BaseException) -> str:
    """The innermost cause without addresses and headers, which can carry secrets."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    if words := getattr(error, "strerror", None):
        return words
    is_plain = type(error) is OSError or isinstance(error, ImportError)
    return str(error) if is_plain else type(error).__name__


if __name__ == "__main__":
    arguments = sys.argv[1:]
    # The client, too, looks at the arguments of the program that it runs in.
    del sys.argv[1:]
    client_process(arguments[0], arguments[1], Path(arguments[2]))
