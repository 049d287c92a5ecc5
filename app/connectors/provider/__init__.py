from app.connectors.provider.fhir.client import connect

__all__ = ["connect"]
