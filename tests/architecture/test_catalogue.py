"""No failure without words and steps; no work without somebody who does it."""

import ast
import re
from importlib import import_module

import pytest

from app.connectors.platform.port import RETRYABLE as PLATFORM_RETRYABLE
from app.connectors.platform.port import PlatformErrorCode
from app.connectors.provider.port import RETRYABLE as PROVIDER_RETRYABLE
from app.connectors.provider.port import ProviderErrorCode
from app.core.signals import queue_of
from app.domain.sync import catalogue
from tasks.broker import JOBS
from tests.architecture.source import ROOT, Source, sources

CODE = re.compile(r"[A-Z]+(_[A-Z]+)+")
OF_PORTS = {*ProviderErrorCode, *PlatformErrorCode}


def own_codes() -> set[str]:
    """The constants of the catalogue: a name that stands for itself."""
    return {name for name, value in vars(catalogue).items() if CODE.fullmatch(name) and value == name}


def mentioned(source: Source) -> set[str]:
    """Codes that a file gives to somebody: `catalogue.CODE`, and text in capitals among the jobs."""
    found: set[str] = set()
    for node in ast.walk(source.tree):
        match node:
            case ast.Attribute(value=ast.Name(id="catalogue"), attr=name) if CODE.fullmatch(name):
                found.add(name)
            case ast.Constant(value=str(words)) if source.path.startswith("tasks/") and CODE.fullmatch(words):
                found.add(words)
            case _:
                continue
    return found


USED = {code for source in sources() if source.path.startswith(("tasks/", "app/domain/")) for code in mentioned(source)}


def test_the_codes_that_are_used_are_found_at_all() -> None:
    assert {"WORKER_FAILED", "SUBJECT_MISMATCH", "LISTING_LOOPED"} <= USED
    assert own_codes() <= USED, f"nobody reports {own_codes() - USED}: delete it"


@pytest.mark.parametrize("code", sorted(OF_PORTS | own_codes() | USED))
def test_a_failure_has_words_and_two_to_four_steps(code: str) -> None:
    assert code in catalogue.CATALOGUE, f"{code}: add it to app/domain/sync/catalogue.py"
    advice = catalogue.advice(code)
    assert 2 <= len(advice.steps) <= 4, f"{code}: two to four steps"
    assert len(set(advice.steps)) == len(advice.steps), f"{code}: a step is named twice"
    for sentence in (advice.message, *advice.steps):
        assert re.fullmatch(r"[A-Z«].*[.?]", sentence), f"{code}: «{sentence}» is no sentence"
        assert code not in sentence, f"{code}: words for a person, not the code"


def test_the_catalogue_holds_nothing_else() -> None:
    unknown = set(catalogue.CATALOGUE) - OF_PORTS - own_codes()
    assert not unknown, f"advice for codes that nobody reports: {unknown}"


def test_a_retry_is_advised_exactly_where_it_helps() -> None:
    for code in OF_PORTS:
        helps = code in PROVIDER_RETRYABLE or code in PLATFORM_RETRYABLE
        assert catalogue.advice(code).retryable is helps, code


def kinds_of_work() -> dict[str, str]:
    """Every kind that a context asks for, with the context's name."""
    found: dict[str, str] = {}
    for path in sorted((ROOT / "app" / "domain").glob("*/events.py")):
        context = path.parent.name
        for name, value in vars(import_module(f"app.domain.{context}.events")).items():
            if name.isupper() and isinstance(value, str):
                found[value] = context
    return found


def test_every_kind_of_work_has_a_job() -> None:
    kinds = kinds_of_work()
    assert kinds
    assert set(kinds) == set(JOBS), f"tasks/broker.py and the contexts' events.py differ: {set(kinds) ^ set(JOBS)}"


def test_a_kind_of_work_waits_in_the_queue_of_its_context() -> None:
    assert {kind: queue_of(kind) for kind in kinds_of_work()} == kinds_of_work()
