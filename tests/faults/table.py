"""The faults that the product is held against. Each has tests; `make faults` runs them at full scale."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    fault: str
    expectation: str
    tests: tuple[str, ...]
    """Names of tests, or beginnings of them."""
    instead: str = "held by its tests"
    """What stands in the table where there is nothing to measure."""

    @property
    def again(self) -> str:
        return " or ".join(self.tests)


ROWS = (
    Row(
        "killed-worker",
        "kill -9 of the worker, 50 times in a run of 1,000 documents",
        "0 lost, 0 doubled; each resume ≤15 s at the 95th percentile; at most one page fetched again a kill",
        ("test_a_run_survives_the_sudden_death_of_its_workers", "test_a_killed_worker_leaves_no_process_behind"),
    ),
    Row(
        "stopped",
        "SIGTERM of worker and web",
        "drained ≤30 s, exit ≤15 s even with 50 stuck sockets; no attempt used up",
        (
            "test_a_worker_that_is_asked_to_stop",
            "test_a_web_server_that_is_asked_to_stop",
            "test_web_is_gone_in_time",
            "test_a_worker_gives_everything_back",
        ),
    ),
    Row(
        "killed-web",
        "kill -9 of the web process during mutations with an idempotency key, 50 times",
        "one effect a key, the same payload",
        ("test_a_mutation_with_a_key_has_one_effect_however_often_the_server_dies",),
    ),
    Row(
        "valkey-restarted",
        "Valkey restarted 20 times, flushed 10 times in mid-run",
        "ends without a worker restart, added delay ≤10 s, 0 lost",
        ("test_a_valkey_that_restarts_and_forgets_everything_costs_nothing",),
    ),
    Row(
        "valkey-away",
        "Valkey away for 5 minutes",
        "reads and writes 100 %; sync accepted; progress ≤5 s late; heals ≤10 s",
        ("test_while_valkey_is_away",),
    ),
    Row(
        "postgres-restarted",
        "PostgreSQL restarted 10 times, fast and immediate",
        "0 lost or doubled; typed errors ≤5 s; recovered ≤5 s after it is back",
        ("test_a_database_that_restarts_costs_nothing",),
    ),
    Row(
        "leaving",
        "1,000 clients leaving in mid-query",
        "backends ≤ pool size 2 s later",
        ("test_clients_that_leave_in_mid_query_leave_nothing_behind",),
    ),
    Row(
        "failing-third",
        "provider: 30 % of the answers are 500, 502 or 503",
        "complete; requests ≤2× the items",
        ("test_a_provider_that_fails_three_times_in_ten_is_read_completely",),
    ),
    Row(
        "throttled",
        "provider: 429 with seconds, a date, a past date, rubbish, a day",
        "never early, capped, no worker held, other providers ≤10 % slower",
        ("test_a_provider_that_asks_for_patience_gets_it",),
    ),
    Row(
        "hanging",
        "provider: connecting, reading and the whole hang; one byte a second",
        "3 / 10 / 60 s, retryable, others ≤20 % slower",
        ("test_a_provider_that_hangs_is_left_in_time",),
    ),
    Row(
        "garbage",
        "provider: cut JSON, wrong length, HTML with 200, 1000:1 gzip, 50 MB of JSON, 100,000 levels",
        "the item marked with its reason, nothing half-stored, worker memory +≤64 MB",
        ("test_a_provider_that_answers_garbage",),
    ),
    Row(
        "dead-provider",
        "provider dead",
        "breaker open after ≤20 failures, ≤1 probe in 30 s, closed ≤60 s after it is back; other patients unaffected",
        ("test_a_dead_provider_is_left_alone_until_it_is_back",),
    ),
    Row(
        "deadly-job",
        "a job that raises, kills its process, allocates 4 GB, among 999 others",
        "quarantined after 3 attempts; the other 999 end; visible; replayable",
        (
            "test_jobs_that_raise_kill_or_devour",
            "test_only_administrators_see_dead_letters",
            "test_a_replayed_letter_is_asked_for_once",
        ),
    ),
    Row(
        "duplicate-messages",
        "every message delivered 10 times",
        "one effect",
        ("test_messages_that_are_delivered_ten_times_have_one_effect",),
    ),
    Row(
        "notifications",
        "one notification 100 times at once; versions out of order; stale timestamp; bad signature",
        "one effect; the newest wins; refused",
        (
            "test_one_notification_a_hundred_times_at_once_has_one_effect",
            "test_of_versions_out_of_order_the_newest_wins",
            "test_a_notification_that_is_not_the_providers_is_refused_and_changes_nothing",
        ),
    ),
    Row(
        "changing",
        "data changing while paged; looping `next`; equal, stale or ignored `_lastUpdated`",
        "0 missed after the next run or sweep; a loop stops within 2 pages",
        ("test_what_changes_while_it_is_paged", "test_a_listing_that_loops", "test_a_provider_whose_last_updated"),
    ),
    Row(
        "clocks",
        "the provider's clock off by an hour either way",
        "leases unaffected; nothing missed",
        ("test_a_provider_whose_clock_is_off",),
    ),
    Row(
        "failing-page",
        "page 3 of 5 fails for good",
        "`SUCCEEDED_WITH_GAPS`, the gap named, nothing withdrawn",
        ("test_a_page_that_fails_for_good_is_a_named_gap_and_withdraws_nothing",),
    ),
    Row(
        "silent-platform",
        "the platform accepts, then times out",
        "exactly one document there",
        ("test_a_platform_that_takes_a_file_and_loses_the_answer_has_it_once",),
    ),
    Row(
        "many-ask",
        "20 clients press Sync at once; cancel; sync again",
        "one run; ≤2 s; a new one",
        ("test_twenty_who_ask_at_once", "test_a_cancelled_run_stops_within_two_seconds"),
    ),
    Row(
        "many",
        "10,000 documents of one patient; a 200 MB PDF",
        "streamed, worker memory +≤64 MB; refused over the limit",
        ("test_very_many_documents_of_one_patient", "test_large_files_come_and_go"),
    ),
    Row(
        "retry",
        "a retry after gaps",
        "only what failed is fetched again",
        ("test_a_retry_fetches_only_what_failed",),
    ),
)
