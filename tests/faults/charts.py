"""Patients with many documents."""

from base64 import b64encode
from typing import Any

from tests import factories


def chart(patient_id: str, notes: int, reports: int = 0) -> list[dict[str, Any]]:
    """Notes and reports whose files lie in Binaries: each has to be asked for by itself."""
    resources = list(factories.resources(patient_id, notes, reports))
    for resource in tuple(resources[1:]):
        data = f"What {resource['id']} says.".encode()
        binary = {"resourceType": "Binary", "id": resource["id"], "contentType": "text/plain"}
        resources.append(binary | {"data": b64encode(data).decode()})
        pointer = {"contentType": "text/plain", "url": f"Binary/{resource['id']}", "size": len(data)}
        if resource["resourceType"] == "DocumentReference":
            resource["content"] = [{"attachment": pointer}]
        else:
            resource["presentedForm"] = [pointer]
    return resources
