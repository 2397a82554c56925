"""The samples in reports/ are what their commands print today, up to times and last digits."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

REPORTS = Path(__file__).parents[1] / "reports"
SAMPLES = dict(
    re.findall(
        r"\]\(samples/(\S+)\) \| `gradcheck (.*)`", (REPORTS / "README.md").read_text("utf-8")
    )
)
NUMBER = re.compile(r"[+-]?\d[\d,]*(\.\d+)?(e[+-]?\d+)?")


def made(name, folder):
    words = [sys.executable, "-m", "gradcheck", *shlex.split(SAMPLES[name])]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, (folder / name).read_text("utf-8")


def scrubbed(text):
    """Every line as its words: names and verdicts as they are, numbers and their places as #."""
    lines = [re.sub(r"\[[\d, ]*\]", "[#]", line) for line in text.splitlines()]
    return [[NUMBER.sub("#", word) for word in line.split()] for line in lines]


def drawn(svg):
    """The texts of a picture by the height they stand at."""
    rows = {}
    for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text"):
        rows.setdefault(element.get("y"), []).append(element.text or "")
    return ["".join(row).replace("\xa0", " ") for row in rows.values()]


def test_every_sample_has_a_command():
    assert set(SAMPLES) == {path.name for path in (REPORTS / "samples").iterdir()}


@pytest.mark.parametrize("name", [name for name in SAMPLES if name.endswith(".txt")])
def test_text_sample_is_current(name, tmp_path):
    code, text = made(name, tmp_path)
    assert code == (1 if name.startswith("fail") else 0)
    assert scrubbed(text) == scrubbed((REPORTS / "samples" / name).read_text("utf-8"))


@pytest.mark.parametrize("name", [name for name in SAMPLES if name.endswith(".svg")])
def test_svg_sample_is_current_and_draws_the_text(name, tmp_path):
    _, picture = made(name, tmp_path)
    kept = (REPORTS / "samples" / name).read_text("utf-8")
    assert [scrubbed(row) for row in drawn(picture)] == [scrubbed(row) for row in drawn(kept)]
    text = (REPORTS / "samples" / name.replace(".svg", ".txt")).read_text("utf-8")
    verdict = next(line for line in text.splitlines() if line.startswith(("PASS", "FAIL  1")))
    assert any(verdict[:30] in row for row in drawn(kept))


@pytest.mark.parametrize("name", [name for name in SAMPLES if name.endswith(".json")])
def test_json_sample_is_current(name, tmp_path):
    _, text = made(name, tmp_path)
    new, kept = json.loads(text), json.loads((REPORTS / "samples" / name).read_text("utf-8"))
    assert list(new) == list(kept)
    for key in ("schema", "name", "verdict", "seed", "settings", "notes", "findings"):
        assert new[key] == kept[key], key
    assert len(new["parameters"]) == len(kept["parameters"])
    for now, then in zip(new["parameters"], kept["parameters"], strict=True):
        assert list(now) == list(then)
        for key in ("name", "layer", "shape", "dtype", "verdict", "wrong", "wrong_count"):
            assert now[key] == then[key], (now["name"], key)
        if now["verdict"] == "fail":
            assert now["worst"]["index"] == then["worst"]["index"]
            assert now["worst"]["numerical"] == pytest.approx(then["worst"]["numerical"], rel=1e-6)
