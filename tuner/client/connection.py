"""A connection to a server: a request ends in what was asked for, or in an error that says why."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from tuner.answers import error_of, unreachable
from tuner.client import requests
from tuner.client.streams import Stream, answer_of
from tuner.errors import ServerError
from tuner.spec.validation import summary
from tuner.spec.views import Page

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")


class RestConnection:
    """Requests below `/api/v1/` of one server, by one pool of connections."""

    def __init__(self, server: str, http: httpx.Client) -> None:
        self._server = server
        self._http = http

    def close(self) -> None:
        """Close the pool."""
        self._http.close()

    def get(self, model: type[M], method: str, path: str, **request: Any) -> M:
        """One thing, by any method."""
        return self._parse(model, self.send(method, path, **request))

    def list(self, kind: type[T], path: str, **query: Any) -> T:
        """What a GET with these parameters gives."""
        return self._parse(kind, self.send("GET", path, params=requests.given(query)))

    def pages(self, page: type[Page[Any]], path: str, query: Mapping[str, Any]) -> Iterator[Any]:
        """The items of a list, fetched page by page."""
        cursor: str | None = None
        while True:
            found = self.list(page, path, **query, cursor=cursor)
            yield from found.items
            cursor = found.next
            if cursor is None:
                return

    def _parse(self, kind: type[T], response: httpx.Response) -> T:
        try:
            return TypeAdapter(kind).validate_json(response.content)
        except ValidationError as error:
            raise ServerError(
                f"{response.request.url} answered {response.status_code} with something that is "
                f"not a {kind.__name__} ({summary(error)}); is {self._server} a segtune server of "
                "this version?"
            ) from error

    def send(self, method: str, path: str, **request: Any) -> httpx.Response:
        """The answer to a request, whatever it holds."""
        try:
            response = self._http.request(method, path, **request)
        except httpx.TransportError as error:
            raise unreachable(self._server, error) from error
        if not response.is_success:
            raise error_of(answer_of(response))
        return response

    def stream(self, method: str, path: str, **request: Any) -> Stream:
        """An answer that is read as it comes."""
        return Stream(self._http, self._server, self._http.build_request(method, path, **request))
