"""The catalogue of findings: code, slug, title, severity. A code never changes its meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from gradcheck.report import Finding, Severity


@dataclass(frozen=True)
class Code:
    """One kind of finding."""

    code: str
    slug: str
    title: str
    suggestion: str
    severity: Severity = "error"

    def finding(
        self,
        evidence: str,
        parameters: tuple[str, ...] = (),
        details: Mapping[str, Any] | None = None,
    ) -> Finding:
        """Return a finding of this kind."""
        return Finding(
            code=self.code,
            slug=self.slug,
            title=self.title,
            evidence=evidence,
            suggestion=self.suggestion,
            parameters=parameters,
            details=details or {},
            severity=self.severity,
        )

    def note(self, evidence: str, parameters: tuple[str, ...], suggestion: str) -> Finding:
        """Return a finding of this kind where it does no harm."""
        found = self.finding(evidence, parameters)
        return replace(found, severity="note", suggestion=suggestion)


WRONG_STRUCTURE = Code(
    "GC101",
    "wrong_structure",
    "the gradient is not nested like the parameters",
    "return one array per parameter, in the same dicts and lists as the parameters",
)
WRONG_SHAPE = Code(
    "GC102",
    "wrong_shape",
    "a gradient has not the shape of its parameter",
    "sum over the batch and over broadcast axes; check the order of matrix products",
)
WRONG_DTYPE = Code(
    "GC103",
    "wrong_dtype",
    "a gradient has less precision than its parameter",
    "compute the gradient in the precision of the parameter",
    "note",
)
NOT_FINITE = Code(
    "GC104",
    "not_finite",
    "NaN or infinity",
    "look for log(0), 0/0, overflow in exp, or a division by a norm that is zero",
)
LOSS_NOT_SCALAR = Code(
    "GC105",
    "loss_not_scalar",
    "the loss is not one real number",
    "reduce it: sum or mean over samples and outputs, as the gradient assumes",
)
LOSS_RAISED = Code(
    "GC106",
    "loss_raised",
    "the loss raised at the given parameters",
    "call it once by itself; look at the shapes and types it is given",
)
GRADIENT_RAISED = Code(
    "GC107",
    "gradient_raised",
    "the gradient raised at the given parameters",
    "call it once by itself; look at the shapes and types it is given",
)
NONDETERMINISTIC_LOSS = Code(
    "GC108",
    "nondeterministic_loss",
    "the loss changes from call to call",
    "fix its random numbers (dropout mask, sampled batch, noise) while checking: reseed=0, or "
    "reseed= the generator it draws from",
    "note",
)
NONDETERMINISTIC_GRADIENT = Code(
    "GC109",
    "nondeterministic_gradient",
    "the gradient changes from call to call",
    "fix its random numbers to those of the loss while checking: reseed=0, or reseed= the "
    "generator it draws from",
    "note",
)
MUTATES_PARAMETERS = Code(
    "GC110",
    "mutates_parameters",
    "a call changes the parameters it was given",
    "work on a copy; look for -=, *=, out= or a view of the parameter",
)
MUTATES_DATA = Code(
    "GC111",
    "mutates_data",
    "a call changes the data it was given",
    "work on a copy; look for -=, *=, out= or shuffle on what comes in as args",
)
STATEFUL_GRADIENT = Code(
    "GC112",
    "stateful_gradient",
    "the gradient depends on earlier calls",
    "set the gradient buffers to zero at the start of every call, and compute from the parameters "
    "what an earlier call may have left behind for others",
)
ALIASED_OUTPUT = Code(
    "GC113",
    "aliased_output",
    "a returned gradient is no array of its own",
    "return a new array from every call, such as by .copy()",
)
TIMED_OUT = Code(
    "GC114",
    "timed_out",
    "a call took too long",
    "check a smaller problem, or allow every call more seconds with timeout=",
)
KINK = Code(
    "GC121",
    "kink",
    "the loss has a kink here and the gradient is one of its slopes",
    "nothing is wrong; move the parameters off the kink for a sharper check",
    "note",
)
LIMITED_BY_PRECISION = Code(
    "GC122",
    "limited_by_precision",
    "precision limits this check",
    "check in float64, or at parameters where the loss is smaller",
    "note",
)
NOISY_LOSS = Code(
    "GC123",
    "noisy_loss",
    "the loss is noisier than its precision",
    "look for float32 inside, iterative solvers with loose tolerances, or randomness",
    "note",
)
DOMAIN_EDGE = Code(
    "GC124",
    "domain_edge",
    "the loss cannot be evaluated on both sides of these entries",
    "check at parameters further inside the domain of the loss",
    "note",
)
BUDGET_EXHAUSTED = Code(
    "GC125",
    "budget_exhausted",
    "the time ran out before all was measured",
    "allow more seconds with budget=, or check less with only= or effort='quick'",
    "note",
)
ALL_ZERO = Code(
    "GC126",
    "all_zero",
    "both gradients are zero everywhere: nothing was really tested",
    "check at other parameters, or remove those the loss does not depend on",
    "note",
)
