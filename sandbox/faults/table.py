"""Every fault by its name. docs/guides/sandbox.md has a line for each."""

from sandbox.faults import answers, bundles, clock, refusals, streams
from sandbox.faults.bundles import changed, searches
from sandbox.faults.call import Fault
from sandbox.faults.options import choice, either, flag, header, number, record, text, whole
from sandbox.faults.refusals import batches, creations, instant_option

EHR, PLATFORM = ("ehr",), ("platform",)
SECONDS = number(600, 0, 86_400)
AT = number(0.5, 0, 1)
MB = whole(100, 1, 10_000)
CODE = choice("processing", *refusals.ISSUE_CODES)
SEVERITY = choice("error", "fatal", "error", "warning", "information")

FAULTS: dict[str, Fault] = {
    "status": Fault(
        answers.status,
        {
            "status": whole(503, 200, 599),
            "code": choice("", *refusals.ISSUE_CODES),
            "retry_after": either(None, header(None), whole(None, -1_000_000, 1_000_000_000)),
            "retry_after_date": number(None, -1_000_000_000, 1_000_000_000),
            "headers": record(),
            "body": text(None),
        },
    ),
    "close": Fault(streams.close),
    "hang": Fault(streams.hang, {"seconds": SECONDS}),
    "hang-middle": Fault(streams.hang_middle, {"seconds": SECONDS, "at": AT}),
    "slow": Fault(streams.slow, {"bytes_per_second": number(1000, 1, 1_000_000_000)}),
    "cut": Fault(streams.cut, {"at": AT}),
    "wrong-length": Fault(streams.wrong_length, {"by": whole(100, -1_000_000_000, 1_000_000_000)}),
    "lost-answer": Fault(streams.lost_answer, {"seconds": number(0, 0, 86_400)}),
    "content-type": Fault(streams.content_type, {"content_type": header("text/plain")}),
    "html": Fault(answers.html, {"status": whole(200, 200, 599)}),
    "gzip-bomb": Fault(answers.gzip_bomb, {"mb": MB}),
    "huge-json": Fault(answers.huge_json, {"mb": MB}),
    "deep-json": Fault(answers.deep_json, {"levels": whole(100_000, 1, 10_000_000)}),
    "huge-file": Fault(answers.huge_file, {"mb": MB, "content_type": header("application/pdf")}),
    "clock": Fault(clock.clock, {"seconds": number(3600, -100_000_000, 100_000_000)}),
    "duplicate-webhook": Fault(None, {"copies": whole(2, 2, 100)}),
    "late-webhook": Fault(None, {"seconds": number(5, 0, 86_400)}),
    "outcome": Fault(answers.outcome, {"status": whole(200, 200, 599), "code": CODE, "severity": SEVERITY}, EHR),
    "expired-token": Fault(refusals.expired_token, {}, EHR, refusals.authorised),
    "ignore-last-updated": Fault(clock.ignore_last_updated, {"claims": flag(default=False)}, EHR, searches),
    "stale-last-updated": Fault(clock.stale_last_updated, {"instant": instant_option()}, EHR, refusals.reads),
    "equal-last-updated": Fault(clock.equal_last_updated, {"instant": instant_option()}, EHR, refusals.reads),
    "missing-next": Fault(changed(bundles.missing_next), {}, EHR, searches),
    "looping-next": Fault(changed(bundles.looping_next), {}, EHR, searches),
    "foreign-next": Fault(
        changed(bundles.foreign_next), {"origin": header("https://elsewhere.example")}, EHR, searches
    ),
    "duplicate-pages": Fault(bundles.duplicate_pages, {}, EHR, searches),
    "duplicate-entries": Fault(changed(bundles.duplicate_entries), {}, EHR, searches),
    "wrong-total": Fault(changed(bundles.wrong_total), {"by": whole(7, -1_000_000, 1_000_000)}, EHR, searches),
    "mutate": Fault(
        changed(bundles.mutate),
        {"action": choice("change", "add", "change", "remove"), "resource": record()},
        EHR,
        searches,
    ),
    "dangling-binary": Fault(changed(bundles.dangling_binary), {}, EHR, searches),
    "cross-patient": Fault(
        changed(bundles.cross_patient),
        {"patient": header("somebody-else"), "entries": whole(1, 1, 1000)},
        EHR,
        searches,
    ),
    "outcome-entry": Fault(changed(bundles.outcome_entry), {"code": CODE, "severity": SEVERITY}, EHR, searches),
    "refuse-get-search": Fault(refusals.refuse_get_search, {}, EHR, refusals.got_searches),
    "demand-status": Fault(refusals.demand_status, {}, EHR, searches),
    "refuse-batch": Fault(refusals.refuse_batch, {}, EHR, batches),
    "errors-200": Fault(
        answers.errors_200, {"message": text("The request is not valid"), "errors": record()}, PLATFORM
    ),
    "quota": Fault(answers.quota, {"status": whole(507, 400, 599)}, PLATFORM, creations),
    "slow-processing": Fault(
        refusals.slow_processing, {"ms": whole(60_000, 0, 86_400_000)}, PLATFORM, refusals.attachments
    ),
}
