"""What a resource says, as 32 bytes: the same on every read for as long as nothing has changed."""

import hashlib
from typing import cast

import msgspec


def digest(resource: dict[str, object]) -> bytes:
    """SHA-256 of the resource's canonical form. Versions and narratives change without a reason, and so do the query
    strings of presigned addresses: they are left out. A narrative that is a report's only text counts."""
    kept = {name: value for name, value in resource.items() if name not in ("meta", "text")}
    kept["content"] = [_content(each) for each in _list(resource.get("content"))]
    kept["presentedForm"] = [_attachment(each) for each in _list(resource.get("presentedForm"))]
    if resource.get("resourceType") == "DiagnosticReport" and not kept["presentedForm"]:
        kept["text"] = resource.get("text")
    return hashlib.sha256(msgspec.json.encode(kept, order="sorted")).digest()


def _list(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []


def _content(content: object) -> object:
    if not isinstance(content, dict):
        return content
    known = cast("dict[str, object]", content)
    return known | {"attachment": _attachment(known.get("attachment"))}


def _attachment(attachment: object) -> object:
    if not isinstance(attachment, dict):
        return attachment
    known = cast("dict[str, object]", attachment)
    url = known.get("url")
    return known | {"url": url.partition("?")[0]} if isinstance(url, str) else known
