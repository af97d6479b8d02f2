"""Talks to the rig's API server with the standard library alone.

Called by `rigs.kubernetes` and, through it, by tests that look at the cluster from
outside. Must never be the client of the service itself, or wait without a bound.
"""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import yaml

Json = dict[str, Any]
# A mapping, the text of a YAML stream, a file, or a folder of *.yaml files.
Source = Mapping[str, Any] | str | Path

_APPLY = "application/apply-patch+yaml"
_TIMEOUT_S = 30.0
# A kind that was just defined takes a moment to be served and listed.
_DISCOVERY_TIMEOUT_S = 15.0
_POLL_S = 0.1


class ApplyError(RuntimeError):
    """The API server refused a document; `status` and `answer` say how."""

    def __init__(self, what: str, status: int, answer: Json) -> None:
        super().__init__(f"{what} was refused with {status}: {answer.get('message', answer)}")
        self.status = status
        self.answer = answer


class ClusterClient:
    """One identity at one API server; a new connection for every request."""

    def __init__(self, server: str, ca_file: Path, token: str) -> None:
        self._address = urlsplit(server).netloc
        self._trust = ssl.create_default_context(cafile=str(ca_file))
        self._token = token
        self._resources: dict[tuple[str, str], tuple[str, bool]] = {}

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        content_type: str = "application/json",
        timeout_s: float = _TIMEOUT_S,
    ) -> tuple[int, Json]:
        """The status and the JSON answer; an answer that is not JSON is under "text"."""
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = content_type
            body = body if isinstance(body, str | bytes) else json.dumps(body)
        connection = http.client.HTTPSConnection(
            self._address, timeout=timeout_s, context=self._trust
        )
        try:
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, _decoded(answer.read())
        finally:
            connection.close()

    def apply(self, *sources: Source, dry_run: bool = False) -> list[Json]:
        """Server-side apply in the order given; the objects as the server holds them."""
        query = {"fieldManager": "rigs", "force": "true", "fieldValidation": "Strict"}
        if dry_run:
            query["dryRun"] = "All"
        applied = []
        for document in documents(sources):
            path = f"{self.path_of(document)}?{urlencode(query)}"
            status, answer = self.request("PATCH", path, document, _APPLY)
            if status >= 300:
                what = f"{document['kind']} {document['metadata']['name']}"
                raise ApplyError(what, status, answer)
            if answer["kind"] == "CustomResourceDefinition" and not dry_run:
                self._wait_until_established(self.path_of(document))
            applied.append(answer)
        return applied

    def delete(self, path: str) -> None:
        """Delete what lies at an API path; what is not there is no error."""
        status, answer = self.request("DELETE", path)
        if status >= 300 and status != 404:
            raise ApplyError(f"deletion of {path}", status, answer)

    def path_of(self, document: Mapping[str, Any]) -> str:
        """The API path of an object, its resource name asked from the server."""
        metadata = document["metadata"]
        collection = self._collection(document["apiVersion"], document["kind"], metadata)
        return f"{collection}/{quote(metadata['name'])}"

    def _collection(self, version: str, kind: str, metadata: Mapping[str, Any]) -> str:
        deadline = time.monotonic() + _DISCOVERY_TIMEOUT_S
        while (version, kind) not in self._resources:
            self._discover(version)
            if (version, kind) in self._resources:
                break
            if time.monotonic() > deadline:
                raise LookupError(f"the API server serves no {kind} in {version}")
            time.sleep(_POLL_S)
        plural, namespaced = self._resources[version, kind]
        if not namespaced:
            return f"{_prefix(version)}/{plural}"
        return f"{_prefix(version)}/namespaces/{metadata.get('namespace', 'default')}/{plural}"

    def _discover(self, version: str) -> None:
        _, answer = self.request("GET", _prefix(version))
        for resource in answer.get("resources", []):
            if "/" not in resource["name"]:
                found = (resource["name"], bool(resource["namespaced"]))
                self._resources[version, resource["kind"]] = found

    def _wait_until_established(self, path: str) -> None:
        deadline = time.monotonic() + _DISCOVERY_TIMEOUT_S
        while not has_condition(self.request("GET", path)[1], "Established"):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{path} is not Established after {_DISCOVERY_TIMEOUT_S:g} s")
            time.sleep(_POLL_S)


def has_condition(answer: Json, kind: str) -> bool:
    """Whether an object's status holds this condition as True."""
    conditions = answer.get("status", {}).get("conditions") or []
    return any(one["type"] == kind and one["status"] == "True" for one in conditions)


def documents(sources: Iterable[Source]) -> Iterator[Mapping[str, Any]]:
    """Every object in the sources, lists taken apart, empty documents left out."""
    for source in sources:
        for document in _parsed(source):
            if document and document["kind"].endswith("List") and "items" in document:
                yield from document["items"]
            elif document:
                yield document


def _parsed(source: Source) -> Iterator[Mapping[str, Any]]:
    if isinstance(source, Mapping):
        yield source
    elif isinstance(source, Path) and source.is_dir():
        for file in sorted(source.glob("*.yaml")):
            yield from yaml.safe_load_all(file.read_text())
    else:
        text = source.read_text() if isinstance(source, Path) else source
        yield from yaml.safe_load_all(text)


def _prefix(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"


def _decoded(raw: bytes) -> Json:
    try:
        answer = json.loads(raw)
    except ValueError:
        return {"text": raw.decode(errors="replace")}
    return answer if isinstance(answer, dict) else {"text": raw.decode()}
