"""Every finding by its code and by its name, and the lesson that explains it."""

from __future__ import annotations

from pathlib import Path

from gradcheck.diagnosis import causes, codes
from gradcheck.diagnosis.codes import Code
from gradcheck.suggestions import did_you_mean

LESSONS = Path(__file__).parent / "lessons"

CODES: tuple[Code, ...] = tuple(
    value
    for module in (codes, causes)
    for value in vars(module).values()
    if isinstance(value, Code)
)


class UnknownFinding(ValueError):
    """No finding has that code or name; `tip` has the nearest there is, None if none is near."""

    def __init__(self, typed: str) -> None:
        super().__init__(f"no finding has the code or name {typed!r}")
        known = [word for code in CODES for word in (code.code, code.slug)]
        self.tip = did_you_mean(typed, known)


def find(typed: str) -> Code:
    """Return the finding of a code or a name, in upper or lower case.

    Raises
    ------
    UnknownFinding
        when there is none
    """
    folded = typed.casefold()
    for code in CODES:
        if folded in (code.code.casefold(), code.slug):
            return code
    raise UnknownFinding(typed)


def lesson(code: Code) -> str:
    """Return what a finding means and how it comes about, as plain text of a page at most."""
    return (LESSONS / f"{code.code}.md").read_text("utf-8").removeprefix("# ")
