"""What a server says when it does not answer: the status, and words that help and show nothing of its inside."""

from collections.abc import Mapping

from trueweight.errors import DataError, SpecError, TrueweightError

__all__ = ["Refused", "refused_by"]

TITLES = {
    400: "Bad request", 401: "No valid key", 403: "Not allowed", 404: "Not found", 405: "Wrong method",
    408: "Too slow", 409: "Conflict", 413: "Too large", 415: "Unsupported kind of body",
    422: "The rows do not fit the model",
    429: "Too many requests", 500: "Our mistake", 503: "Not ready", 504: "Took too long",
}  # fmt: skip


class Refused(Exception):  # noqa: N818  # what it is, not that it is one
    """A request that is not answered.

    Args:
        status: HTTP status, 400 to 599.
        detail: One sentence for the caller.
        headers: More of them, such as Retry-After.
        hint: What to do instead.
    """

    def __init__(self, status: int, detail: str, *, hint: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.hint, self.headers = status, detail, hint, dict(headers or {})

    def problem(self) -> dict[str, object]:
        """The body by RFC 9457, problem+json."""
        said = {"type": "about:blank", "title": TITLES.get(self.status, "Refused"), "status": self.status}
        return said | {"detail": self.detail} | ({"hint": self.hint} if self.hint else {})

    def openai(self) -> dict[str, object]:
        """The body as clients of OpenAI's interface read it."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        words = f"{self.detail} ({self.hint})" if self.hint else self.detail
        return {"error": {"message": words, "type": kind, "param": None, "code": None}}


def refused_by(error: TrueweightError) -> Refused:
    """An error of ours as an answer: what was wrong with the request is told, what is wrong with us is not."""
    if isinstance(error, DataError | SpecError):
        where = f"{error.where}: " if error.where else ""
        return Refused(422, f"{where}{error.problem}", hint=error.hint)
    return Refused(500, "the model could not answer; the server's log says more")
