"""How the EHR says no: an HTTP status and an OperationOutcome."""

import json


class Refused(Exception):
    """`code` is one of FHIR's issue types (http://hl7.org/fhir/R4/valueset-issue-type.html)."""

    def __init__(self, status: int, code: str, diagnostics: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(diagnostics)
        self.status = status
        self.code = code
        self.diagnostics = diagnostics
        self.headers = headers or {}

    @property
    def outcome(self) -> str:
        issue = {"severity": "error", "code": self.code, "diagnostics": self.diagnostics}
        return json.dumps({"resourceType": "OperationOutcome", "issue": [issue]})


def bad_value(parameter: str, value: str, why: str) -> Refused:
    return Refused(400, "value", f"Parameter {parameter} does not take {value[:100]!r}: {why}")
