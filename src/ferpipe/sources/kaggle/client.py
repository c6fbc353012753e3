"""One download with Kaggle's official client, in a process of its own.

Run with `-m` by `sources/kaggle.py`, under its deadline. Credentials go into the client and
nowhere else: what the parent hears is a file with one sentence.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from ferpipe.core.errors import PipelineError
from ferpipe.sources.kaggle import credentials
from ferpipe.sources.kaggle.credentials import SETTINGS, WAYS, Credentials

RESULT = "result.json"
CHUNK = 16 * 2**10  # bytes until the parent sees the file grow


class MayPass(PipelineError):
    """A failure that another try may not meet.

    `wait` is how many seconds the server asks to wait before it; None where it does not say.
    """

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


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
    outcome: dict[str, Any] = {"problem": None, "may_pass": False, "wait": None, "notes": []}
    try:
        _call_client(dataset, version, folder, outcome["notes"])
    except PipelineError as error:
        outcome["problem"] = str(error)
        outcome["may_pass"] = isinstance(error, MayPass)
        outcome["wait"] = getattr(error, "wait", None)
    except Exception as error:
        problem = f"the Kaggle client failed ({_cause(error)}); try again, or {by_hand(dataset)}"
        outcome["problem"] = problem
    (folder / RESULT).write_text(json.dumps(outcome), encoding="utf-8")


def _end_with_parent() -> None:
    """Wait for the end of the pipe, which comes however the parent ends."""
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


def _call_client(dataset: str, version: str, folder: Path, notes: list[str]) -> None:
    import kaggle  # authenticates, which may take a request
    import requests

    api = kaggle.api
    found = credentials.find(api)
    notes += credentials.notes(found, dataset)
    owner, name = dataset.split("/")
    try:
        with api.build_kaggle_client() as client:
            request = _request(owner, name, version)
            response = client.datasets.dataset_api_client.download_dataset(request)
            # One try, and never from where an earlier one stopped: the client would go on behind a
            # part that it takes for the same file's because of its date.
            api.download_file(
                *(response, str(folder / f"{name}.zip"), client.http_client()),
                quiet=not sys.stderr.isatty(),
                chunk_size=CHUNK,
                max_retries=0,
            )
    except requests.exceptions.HTTPError as error:
        raise _refusal(error.response, dataset, version, found) from None
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
        if refused := re.search(r"Tunnel connection failed: (4\d\d)", _cause(error)):
            raise PipelineError(
                f"the proxy that HTTPS_PROXY names refuses to connect to Kaggle ({refused[1]}); "
                f"correct HTTPS_PROXY, or {by_hand(dataset)}"
            ) from None
        raise MayPass(f"the connection to Kaggle failed ({_cause(error)})") from None


def _request(owner: str, name: str, version: str) -> Any:
    from kagglesdk.datasets.types.dataset_api_service import ApiDownloadDatasetRequest

    request = ApiDownloadDatasetRequest()
    request.owner_slug = owner
    request.dataset_slug = name
    if version:
        request.dataset_version_number = int(version)
    return request


def _refusal(
    response: Any, dataset: str, version: str, credentials: Credentials | None
) -> PipelineError:
    """What an HTTP status means, and what to do about it."""
    status = _status(response)
    if response.history:  # redirected, to where the files are
        # Every try gets a new signed address; one that is refused may have run out.
        return MayPass(f"Kaggle's storage answered {status} for {dataset}", _wait(response))
    if status in (401, 403) and credentials is None:
        return PipelineError(
            f"Kaggle does not give {dataset} to someone without credentials ({status}), and none "
            f"were found; {WAYS}; or {by_hand(dataset)}"
        )
    if status == 401:
        rank = ", which go before all others" if credentials.token else ""
        return PipelineError(
            f"Kaggle refuses the credentials in {credentials.name} (401){rank}; make new ones at "
            f"{SETTINGS}, or take them away"
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
    if status in (408, 429) or status >= 500:
        return MayPass(f"Kaggle answered {status} for {dataset}", _wait(response))
    return PipelineError(f"Kaggle answered {status} for {dataset}; {by_hand(dataset)}")


def _status(response: Any) -> int:
    """The HTTP status, or the one that the body tells of where the HTTP status is a success."""
    if response.status_code >= 400:
        return response.status_code
    return int(response.json()["code"])  # which the client has read, and found to be one


def _wait(response: Any) -> float | None:
    """The seconds that `Retry-After` asks for, which may be given as a date."""
    from urllib3 import Retry
    from urllib3.exceptions import InvalidHeader

    try:
        return Retry().parse_retry_after(response.headers["Retry-After"])
    except (KeyError, InvalidHeader):
        return None


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
