"""The parts of FHIR R4 resources that we read. Lenient: unknown elements are skipped, and null counts as absent."""

import msgspec


class Lenient(msgspec.Struct, rename="camel"):
    """An element or resource; every field is optional."""


class Coding(Lenient):
    system: str | None = None
    code: str | None = None
    display: str | None = None


class CodeableConcept(Lenient):
    coding: list[Coding] | None = None
    text: str | None = None


class Identifier(Lenient):
    system: str | None = None
    value: str | None = None


class Reference(Lenient):
    reference: str | None = None
    display: str | None = None
    identifier: Identifier | None = None


class Period(Lenient):
    start: str | None = None


class Narrative(Lenient):
    div: str | None = None


class Meta(Lenient):
    version_id: str | None = None
    last_updated: str | None = None


class HumanName(Lenient):
    use: str | None = None
    text: str | None = None
    family: str | None = None
    given: list[str | None] | None = None


class Attachment(Lenient):
    """R4 2.24.0.1. `size` is an integer there, but some servers send text."""

    content_type: str | None = None
    data: str | None = None
    url: str | None = None
    size: object = None
    hash: str | None = None
    title: str | None = None
    creation: str | None = None


class Content(Lenient):
    attachment: Attachment | None = None


class RelatesTo(Lenient):
    code: str | None = None
    target: Reference | None = None


class Context(Lenient):
    period: Period | None = None


class Resource(Lenient):
    resource_type: str | None = None
    id: str | None = None
    meta: Meta | None = None
    contained: list[object] | None = None


class DocumentReference(Resource):
    status: str | None = None
    type: CodeableConcept | None = None
    category: list[CodeableConcept] | None = None
    subject: Reference | None = None
    date: str | None = None
    author: list[Reference] | None = None
    relates_to: list[RelatesTo] | None = None
    description: str | None = None
    content: list[Content] | None = None
    context: Context | None = None


class DiagnosticReport(Resource):
    status: str | None = None
    category: list[CodeableConcept] | None = None
    code: CodeableConcept | None = None
    subject: Reference | None = None
    effective_date_time: str | None = None
    effective_period: Period | None = None
    issued: str | None = None
    performer: list[Reference] | None = None
    results_interpreter: list[Reference] | None = None
    presented_form: list[Attachment] | None = None
    conclusion: str | None = None
    text: Narrative | None = None


class Patient(Resource):
    identifier: list[Identifier] | None = None
    name: list[HumanName] | None = None
    birth_date: str | None = None


class ContainedPatient(Lenient):
    """Only what says who it is."""

    resource_type: str | None = None
    id: str | None = None
    identifier: list[Identifier] | None = None


class Practitioner(Lenient):
    """A contained author. Only a Practitioner's, Patient's or RelatedPerson's name is a list of HumanNames."""

    id: str | None = None
    name: list[HumanName] | str | None = None


class Binary(Lenient):
    resource_type: str | None = None
    content_type: str | None = None
    data: str | None = None


class Issue(Lenient):
    severity: str | None = None
    code: str | None = None
    details: CodeableConcept | None = None
    diagnostics: str | None = None


class OperationOutcome(Lenient):
    resource_type: str | None = None
    issue: list[Issue] | None = None


class Link(Lenient):
    relation: str | None = None
    url: str | None = None


class Search(Lenient):
    mode: str | None = None


class BundleEntry(Lenient):
    full_url: str | None = None
    resource: dict[str, object] | None = None
    search: Search | None = None


class Bundle(Lenient):
    """Entries stay undecoded, so that a bad one does not take its page along."""

    resource_type: str | None = None
    total: object = None
    link: list[Link] | None = None
    entry: list[msgspec.Raw] | None = None


class BatchBinary(Lenient):
    """A Binary, or whatever else stands in its place. Its base64 is decoded on the way."""

    resource_type: str | None = None
    id: str | None = None
    content_type: str | None = None
    data: bytes | None = None


class BatchResponse(Lenient):
    """`status` is an HTTP status, with or without its reason («200 OK»)."""

    status: str | None = None
    outcome: msgspec.Raw = msgspec.Raw(b"")


class BatchEntry(Lenient):
    resource: BatchBinary | None = None
    response: BatchResponse | None = None


class BatchBundle(Lenient):
    resource_type: str | None = None
    type: str | None = None
    entry: list[BatchEntry] | None = None


class Coded(Lenient):
    """An interaction of a resource or of the whole system."""

    code: str | None = None


class SearchParam(Lenient):
    name: str | None = None


class Operation(Lenient):
    name: str | None = None
    definition: str | None = None


class Extension(Lenient):
    url: str | None = None


class RestResource(Lenient):
    type: str | None = None
    interaction: list[Coded] | None = None
    search_param: list[SearchParam] | None = None
    operation: list[Operation] | None = None
    versioning: str | None = None
    supported_profile: list[str] | None = None
    extension: list[Extension] | None = None


class Rest(Lenient):
    mode: str | None = None
    resource: list[RestResource] | None = None
    interaction: list[Coded] | None = None
    operation: list[Operation] | None = None


class CapabilityStatement(Lenient):
    resource_type: str | None = None
    fhir_version: str | None = None
    rest: list[Rest] | None = None


class SmartConfiguration(msgspec.Struct):
    """SMART App Launch 2.2, 7: only what Backend Services need."""

    token_endpoint: str | None = None


class Token(msgspec.Struct):
    """RFC 6749, 5.1. `expires_in` is a number there, but some servers send text."""

    access_token: str | None = None
    expires_in: object = None
    scope: str | None = None


class TokenError(msgspec.Struct):
    """RFC 6749, 5.2."""

    error: str | None = None
