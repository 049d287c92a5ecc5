"""Whether `_lastUpdated` tells the truth: what an incremental listing finds, against what a full one has shown."""

from datetime import datetime

from app.connectors.provider.certify.card import Group, Line, some
from app.connectors.provider.certify.listing import Listed, Seen, listing
from app.connectors.provider.port import Provider, SinceFilter

NAME = "_lastUpdated tells the truth"
WORDS = {
    SinceFilter.IGNORED: "it is ignored: every synchronisation lists everything",
    SinceFilter.REFUSED: "it is refused: every synchronisation lists everything",
}


async def truth(provider: Provider, full: Listed, patient_id: str, filter_: SinceFilter) -> Line:
    """Asks for what has changed since the middle one of all changes."""
    group = Group(full.resource_type)
    if filter_ in WORDS:
        return group.no(NAME, WORDS[filter_])
    dated = [it for it in full.seen if it.last_updated is not None]
    moments = sorted({it.last_updated for it in dated if it.last_updated})
    if not moments:
        return group.skipped(NAME, "not tried: no resource has a meta.lastUpdated")
    since = moments[len(moments) // 2]
    found = await listing(provider, full.resource_type, patient_id, since)
    if complaint := found.complaint or _missed(dated, found, since):
        return group.no(NAME, complaint, needed=True)
    if len(moments) == 1 and len(dated) > 1:
        words = f"all {len(dated)} resources have the same lastUpdated ({since.isoformat()})"
        return group.skipped(NAME, f"not tried: {words}, because they came at once, or because it does not advance")
    came = len(found.references)
    words = f"of {len(full.references)} resources it found the {came} changed since {since.isoformat()}"
    return group.judge(NAME, _older(found, since), words)


def _older(found: Listed, since: datetime) -> str:
    older = sorted({it.reference for it in found.seen if it.last_updated and it.last_updated < since})
    return f"older ones came too, {len(older)} of them: {some(older)}" if older else ""


def _missed(dated: list[Seen], found: Listed, since: datetime) -> str:
    expected = {it.reference for it in dated if it.last_updated and it.last_updated >= since}
    missed = sorted(expected - found.references)
    if not missed:
        return ""
    return (
        f"it does not find {len(missed)} of {len(expected)} that have changed since {since.isoformat()}: {some(missed)}"
    )
