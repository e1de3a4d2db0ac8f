"""The look of the page: system fonts, two colour schemes, one column on a phone, and ink-saving on paper."""

from functools import cache
from importlib.resources import files

__all__ = ["style"]


@cache
def style() -> str:
    """The style sheet, which stands in the page itself."""
    return files("trueweight.report").joinpath("page.css").read_text(encoding="utf-8")
