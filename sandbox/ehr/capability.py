"""What the EHR says of itself, kept to what it does."""

from typing import Any

from sandbox.ehr.auth import ALGORITHMS, GRANT_PATH
from sandbox.ehr.bulk import OPERATIONS
from sandbox.ehr.parameters import parameters
from sandbox.ehr.store import Store
from sandbox.ehr.subscriptions import offers
from sandbox.sqlite import instant, now_ms

OAUTH = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
SERVICES = "http://terminology.hl7.org/CodeSystem/restful-security-service"
LISTED = (
    "AllergyIntolerance Binary Bundle Communication CommunicationRequest Composition Condition DiagnosticReport"
    " DocumentReference Encounter Group Location MedicationRequest NutritionOrder Observation Organization Patient Practitioner"
    " PractitionerRole Procedure Provenance ServiceRequest Subscription Task"
)
"""Listed even when there is none of them yet. Every other R4 type works too, and is listed as soon as one is stored."""

INTERACTIONS = ("read", "vread", "update", "delete", "history-instance", "create", "search-type")
PARAMETER_TYPES = {"id": "token", "instant": "date"}


def capability_statement(store: Store, base: str) -> dict[str, Any]:
    origin = base.removesuffix("/fhir")
    token = {"url": OAUTH, "extension": [{"url": "token", "valueUri": origin + GRANT_PATH}]}
    coding = {"system": SERVICES, "code": "SMART-on-FHIR", "display": "SMART-on-FHIR"}
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": instant(now_ms()),
        "kind": "instance",
        "instantiates": ["http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data"],
        "software": {"name": "healthcare-records sandbox EHR"},
        "implementation": {"description": "A synthetic EHR to develop against", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
        "rest": [
            {
                "mode": "server",
                "security": {"extension": [token], "service": [{"coding": [coding]}]},
                "resource": [_resource(store, it) for it in sorted({*LISTED.split(), *store.types()})],
                "interaction": [{"code": "transaction"}, {"code": "batch"}],
            }
        ],
    }


def _resource(store: Store, resource_type: str) -> dict[str, Any]:
    searched = resource_type != "Binary"
    resource: dict[str, Any] = {
        "type": resource_type,
        "interaction": [{"code": code} for code in INTERACTIONS if searched or code != "search-type"],
        "versioning": "versioned",
        "readHistory": True,
        "updateCreate": True,
        "conditionalCreate": searched,
        "conditionalRead": "not-supported",
        "conditionalUpdate": False,
        "conditionalDelete": "not-supported",
    }
    if searched:
        resource["searchParam"] = [
            {"name": name, "type": PARAMETER_TYPES.get(kind, kind)} for name, kind in parameters(resource_type).items()
        ]
    if operation := OPERATIONS.get(resource_type):
        resource["operation"] = [operation]
    if resource_type == "Subscription" and (topics := offers(store)):
        resource["extension"] = topics
    return resource


def smart_configuration(origin: str) -> dict[str, Any]:
    return {
        "token_endpoint": origin + GRANT_PATH,
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "scopes_supported": ["system/*.read", "system/*.write", "system/*.rs", "system/*.cruds"],
        "capabilities": ["client-confidential-asymmetric", "permission-v1", "permission-v2"],
    }
