"""Answers of the server, whole and as a stream; refused ones are errors."""

import httpx

from tuner.answers import Answer, error_of, unreachable


def answer_of(response: httpx.Response) -> Answer:
    """A whole answer, as every client of the server reads it."""
    url = str(response.request.url)
    return Answer(url, response.status_code, response.content, response.headers)


class Stream:
    """One streamed answer, refused answers turned into errors."""

    def __init__(self, http: httpx.Client, server: str, request: httpx.Request) -> None:
        self._http, self._server, self._request = http, server, request

    def __enter__(self) -> httpx.Response:
        try:
            self._response = self._http.send(self._request, stream=True)
            if not self._response.is_success:
                self._response.read()
        except httpx.TransportError as error:
            raise unreachable(self._server, error) from error
        if not self._response.is_success:
            raise error_of(answer_of(self._response))
        return self._response

    def __exit__(self, *_: object) -> None:
        self._response.close()
