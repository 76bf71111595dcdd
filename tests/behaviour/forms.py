"""A browser's part in logins: it keeps cookies, and fills in the hidden token of a form."""

from __future__ import annotations

import re
from urllib.parse import urlencode

from tests.harness import Endpoint, Response

__all__ = ["Browser"]


class Browser:
    """Keeps cookies and fills in forms."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.cookies: dict[str, str] = {}

    def get(self, path: str) -> Response:
        """A page."""
        return self._keep(self.endpoint.get(path, self._headers()))

    def post(self, path: str, fields: dict[str, str], *, token: bool = True) -> Response:
        """A form; its page is fetched first, for the token."""
        if token:
            form = self.get(path).text
            found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form)
            assert found, form
            fields = {"csrfmiddlewaretoken": found[1], **fields}
        headers = [("Content-Type", "application/x-www-form-urlencoded"), *self._headers()]
        return self._keep(self.endpoint.request("POST", path, headers, urlencode(fields).encode()))

    def _headers(self) -> list[tuple[str, str]]:
        if not self.cookies:
            return []
        return [("Cookie", "; ".join(f"{name}={value}" for name, value in self.cookies.items()))]

    def _keep(self, answer: Response) -> Response:
        for name, value in answer.headers:
            if name == "set-cookie":
                key, _, rest = value.partition("=")
                self.cookies[key] = rest.partition(";")[0]
        return answer
