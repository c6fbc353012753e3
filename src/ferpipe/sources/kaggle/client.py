"""One download with Kaggle's official client, in a process of its own.

`retries.py` runs this module with `-m`, under its deadline. Credentials go into the client and
nowhere else: the parent process gets a file with one sentence.
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
COMPETITION = "competitions/"  # the beginning of a competition's name
CHUNK = 16 * 2**10  # bytes after which the parent sees the file grow


class MayPass(PipelineError):
    """A failure that another attempt may not have; `wait`: seconds that the server asks to wait."""

    def __init__(self, message: str, wait: float = 0) -> None:
        super().__init__(message)
        self.wait = wait


def page(dataset: str) -> str:
    """The address of the page of a data set or competition."""
    kind = "" if dataset.startswith(COMPETITION) else "datasets/"
    return f"https://www.kaggle.com/{kind}{dataset}"


def by_hand(dataset: str) -> str:
    """The remedy that always works."""
    remedy = "set download.source: local and download.local.path to it"
    return f"download the zip by hand from {page(dataset)} and {remedy}"


def client_process(dataset: str, version: str, folder: Path) -> None:
    """Download once and write the result to `folder`, for the parent process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets Ctrl-C too, and kills this
    threading.Thread(target=_end_with_parent, daemon=True).start()
    result: dict[str, Any] = {"problem": None, "wait": None, "notes": []}
    try:
        _call_client(dataset, version, folder, result["notes"])
    except PipelineError as error:
        result |= {"problem": str(error), "wait": getattr(error, "wait", None)}
    except Exception as error:
        failed = f"the Kaggle client failed ({_cause(error)})"
        result["problem"] = f"{failed}; try again, or {by_hand(dataset)}"
    (folder / RESULT).write_text(json.dumps(result), encoding="utf-8")


def _end_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)  # the pipe ends however the parent ends
    os._exit(1)


def _call_client(dataset: str, version: str, folder: Path, notes: list[str]) -> None:
    import kaggle  # authenticates, which may send a request
    import requests
    from requests.exceptions import ChunkedEncodingError, SSLError

    api = kaggle.api
    sent = credentials.find(api)
    notes += credentials.notes(sent, dataset)
    try:
        with api.build_kaggle_client() as client:
            api.download_file(
                response=_request(client, dataset, version),
                outfile=str(folder / f"{dataset.split('/')[1]}.zip"),
                http_client=client.http_client(),
                quiet=not sys.stderr.isatty(),
                chunk_size=CHUNK,
                # The client would resume after a part that may be of another file.
                max_retries=0,
            )
    except requests.HTTPError as error:
        raise _http_error(error.response, dataset, version, sent) from None
    except SSLError as error:
        remedy = "behind a proxy that opens TLS, set REQUESTS_CA_BUNDLE to its certificate"
        fault = f"the connection to Kaggle cannot be trusted ({_cause(error)})"
        raise PipelineError(f"{fault}; {remedy}") from None
    except (requests.ConnectionError, requests.Timeout, ChunkedEncodingError) as error:
        if refused := re.search(r"Tunnel connection failed: (4\d\d)", _cause(error)):
            fault = f"the proxy in HTTPS_PROXY refuses to connect to Kaggle ({refused[1]})"
            raise PipelineError(f"{fault}; correct HTTPS_PROXY, or {by_hand(dataset)}") from None
        raise MayPass(f"the connection to Kaggle failed ({_cause(error)})") from None


def _request(client: Any, dataset: str, version: str) -> Any:
    """Send the request for a data set or competition; returns the response, its body unread."""
    if dataset.startswith(COMPETITION):
        from kagglesdk.competitions.types import competition_api_service

        request = competition_api_service.ApiDownloadDataFilesRequest()
        request.competition_name = dataset.removeprefix(COMPETITION)
        return client.competitions.competition_api_client.download_data_files(request)
    from kagglesdk.datasets.types.dataset_api_service import ApiDownloadDatasetRequest

    request = ApiDownloadDatasetRequest()
    request.owner_slug, request.dataset_slug = dataset.split("/")
    if version:
        request.dataset_version_number = int(version)
    return client.datasets.dataset_api_client.download_dataset(request)


def _http_error(
    response: Any, dataset: str, version: str, sent: Credentials | None
) -> PipelineError:
    """The error and the remedy for an HTTP status."""
    status = response.status_code
    if status < 400:  # the client has found an error code in the body
        status = int(response.json()["code"])
    # Kaggle redirects to its storage, by a signed address which may have expired; the next attempt
    # gets a new one.
    server = "Kaggle's storage" if response.history else "Kaggle"
    if response.history or status in (408, 429) or status >= 500:
        return MayPass(f"{server} answered {status} for {dataset}", _wait(response))
    if status in (401, 403) and sent is None:
        return PipelineError(
            f"Kaggle does not give {dataset} to someone without credentials ({status}), and none "
            f"were found; {WAYS}; or {by_hand(dataset)}"
        )
    if status == 401:
        rank = ", which have priority over all others" if sent.token else ""
        refused = f"Kaggle refuses the credentials in {sent.name} (401){rank}"
        return PipelineError(f"{refused}; make new ones at {SETTINGS}, or remove them")
    if status == 403 and dataset.startswith(COMPETITION):
        return PipelineError(
            f"Kaggle does not let this account download {dataset} (403); join it and accept its "
            f"rules at {page(dataset)}/rules in a browser"
        )
    if status == 403:
        return PipelineError(
            f"Kaggle does not let this account download {dataset} (403); open {page(dataset)} in "
            "a browser and accept its terms; if it is private, its owner must share it; if there "
            "is no such page, correct download.kaggle.dataset"
        )
    if status == 404:
        requested = f"{dataset}, version {version}" if version else dataset
        remedy = "correct download.kaggle.dataset or download.kaggle.version"
        return PipelineError(f"Kaggle has no {requested} (404); {remedy}, see {page(dataset)}")
    return PipelineError(f"Kaggle answered {status} for {dataset}; {by_hand(dataset)}")


def _wait(response: Any) -> float:
    """The seconds in `Retry-After`, which may be a date; 0 without one."""
    from urllib3 import Retry
    from urllib3.exceptions import InvalidHeader

    try:
        return Retry().parse_retry_after(response.headers["Retry-After"])
    except (KeyError, InvalidHeader):
        return 0


def _cause(error: BaseException) -> str:
    """The innermost cause without addresses and headers, which can contain secrets."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    if text := getattr(error, "strerror", None):
        return text
    is_plain = type(error) is OSError or isinstance(error, ImportError)
    return str(error) if is_plain else type(error).__name__


if __name__ == "__main__":
    dataset, version, folder = sys.argv[1:]
    del sys.argv[1:]  # the client reads them too
    client_process(dataset, version, Path(folder))
