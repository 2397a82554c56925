"""The committed report: sections, each written again by the script that measures it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

REPORT = Path(__file__).resolve().parents[2] / "reports" / "calibration.md"
TITLE = "# How far the verdicts can be trusted\n"
SECTIONS = (
    "What is measured",
    "Every family",
    "Beside other tools",
    "By family and tool",
    "An earlier prototype on the same cases",
    "Whole networks",
    "Whole networks and other tools",
)
MARK = "\n## "


def write_sections(sections: Mapping[str, str], path: Path = REPORT) -> None:
    """Put sections into the report, in the order of SECTIONS, and leave the others as they are."""
    known = _sections(path.read_text(encoding="utf-8")) if path.exists() else {}
    known |= {title: text.strip() for title, text in sections.items()}
    parts = [f"{MARK}{title}\n\n{known[title]}\n" for title in SECTIONS if title in known]
    path.write_text(TITLE + "".join(parts), encoding="utf-8")


def _sections(text: str) -> dict[str, str]:
    _, *parts = text.split(MARK)
    split = (part.partition("\n") for part in parts)
    return {title.strip(): body.strip() for title, _, body in split}
