"""A report as plain data and back: JSON types only, infinities and NaN as strings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from gradcheck.report import Comparison, Finding, GradientReport, ParameterReport, Probe

SCHEMA_VERSION = 1


def report_to_dict(report: GradientReport) -> dict[str, Any]:
    """Return a report as plain data."""
    data: dict[str, Any] = {"schema": SCHEMA_VERSION, "verdict": report.verdict}
    data.update(encode(report))
    # A parameter's findings are the report's own objects: stored once, by position.
    for parameter, part in zip(report.parameters, data["parameters"], strict=True):
        part["findings"] = [report.findings.index(finding) for finding in parameter.findings]
    data["miss_chance"] = encode(report.miss_chance)
    data["layers"] = [
        {
            "name": layer.name,
            "verdict": layer.verdict,
            "worst": layer.worst.name,
            "gradient_size": encode(layer.gradient_size),
        }
        for layer in report.layers
    ]
    return data


def report_from_dict(data: Mapping[str, Any]) -> GradientReport:
    """Return the report that `report_to_dict` was called on.

    Raises
    ------
    ValueError
        when the data is of another schema version
    """
    if data.get("schema") != SCHEMA_VERSION:
        raise ValueError(f"schema must be {SCHEMA_VERSION}, got {data.get('schema')!r}")
    findings = tuple(_decode_finding(finding) for finding in data["findings"])
    kept = {item.name: data[item.name] for item in fields(GradientReport)}
    kept["findings"] = findings
    kept["notes"] = tuple(data["notes"])
    kept["seconds"] = _number(data["seconds"])
    kept["parameters"] = tuple(_decode_parameter(part, findings) for part in data["parameters"])
    return GradientReport(**kept)


def encode(value: Any) -> Any:
    """Return any part of a report as JSON types."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        # JSON has no NaN and no infinity.
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    return {item.name: encode(getattr(value, item.name)) for item in fields(value)}


def _number(value: float | str | None) -> Any:
    return None if value is None else float(value)


def _decode_finding(data: Mapping[str, Any]) -> Finding:
    kept = dict(data)
    kept["parameters"] = tuple(data["parameters"])
    kept["alternatives"] = tuple(data["alternatives"])
    return Finding(**kept)


def _decode_comparison(data: Mapping[str, Any]) -> Comparison:
    numbers = {key: _number(data[key]) for key in data if key != "index"}
    return Comparison(index=tuple(data["index"]), **numbers)


def _decode_probe(data: Mapping[str, Any]) -> Probe:
    numbers = {
        key: _number(data[key]) for key in ("analytic", "numerical", "error_bar", "resolution")
    }
    kept = {key: data[key] for key in ("outcome", "evaluations", "kind", "shared")}
    return Probe(**kept, **numbers)


def _decode_parameter(data: Mapping[str, Any], findings: tuple[Finding, ...]) -> ParameterReport:
    kept = dict(data)
    kept["shape"] = tuple(data["shape"])
    for key in ("resolution", "required", "miss_chance"):
        kept[key] = _number(data[key])
    # Reports of before it was known do not have it.
    kept["gradient_size"] = _number(data.get("gradient_size"))
    kept["worst"] = None if data["worst"] is None else _decode_comparison(data["worst"])
    kept["worst_entries"] = tuple(map(_decode_comparison, data["worst_entries"]))
    wrong = data["wrong"]
    kept["wrong"] = None if wrong is None else np.array(wrong, dtype=bool).reshape(kept["shape"])
    kept["probes"] = tuple(_decode_probe(probe) for probe in data["probes"])
    kept["findings"] = tuple(findings[position] for position in data["findings"])
    return ParameterReport(**kept)
