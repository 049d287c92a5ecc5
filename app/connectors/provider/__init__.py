from app.connectors.provider.fhir.bulk import connect as connect_bulk
from app.connectors.provider.fhir.client import connect
from app.connectors.provider.fhir.patients import for_updates

__all__ = ["connect", "connect_bulk", "for_updates"]
