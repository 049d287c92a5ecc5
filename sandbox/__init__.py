"""Two real HTTP servers to develop and certify connectors against: an EHR (FHIR R4) and a care platform."""
