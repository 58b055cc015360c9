"""python-odata knows nothing of Dataverse: it reads `$metadata`, makes classes of it, and works with these."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from odata import ODataService  # type: ignore[import-untyped]

from tests.e2e.webapihost import Served, served


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("host")) as host:
        yield host


@pytest.fixture(scope="module")
def service(host: Served) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patched, requests.Session() as session:
        patched.setenv("REQUESTS_CA_BUNDLE", str(host.authority))
        yield ODataService(
            f"{host.api}/",
            session=session,
            # Like Dataverse, the service answers writes with the row only when it is asked to.
            extra_headers={"Prefer": "return=representation"},
            reflect_entities=True,
            quiet_progress=True,
        )


def test_rows_are_made_changed_and_removed_with_the_classes_it_made(service: Any) -> None:
    account = service.entities["accounts"]()
    account.name, account.numberofemployees = "Generic", 12
    service.save(account)
    assert account.accountid is not None
    assert account.statecode == 0
    account.name = "Generic, too"
    service.save(account)
    found = service.query(service.entities["accounts"]).get(str(account.accountid))
    assert (found.name, found.numberofemployees) == ("Generic, too", 12)
    assert abs((datetime.now(UTC) - found.createdon.replace(tzinfo=UTC)).total_seconds()) < 3600
    service.delete(found)
    accounts = service.entities["accounts"]
    assert service.query(accounts).filter(accounts.accountid == account.accountid).all() == []


def test_queries_are_filtered_ordered_and_read_page_by_page(service: Any) -> None:
    contacts = service.entities["contacts"]
    for number in range(5):
        contact = contacts()
        contact.lastname, contact.firstname = f"Queried {number}", "Ann" if number % 2 else "Bo"
        service.save(contact)
    query = service.query(contacts).filter(contacts.lastname.startswith("Queried")).filter(contacts.firstname == "Bo")
    assert [each.lastname for each in query.order_by(contacts.lastname.desc())] == [
        "Queried 4",
        "Queried 2",
        "Queried 0",
    ]
    everyone = service.query(contacts).filter(contacts.lastname.startswith("Queried")).limit(2)
    assert len(everyone.all()) == 2


def test_jobs_are_a_set_like_any_other(service: Any) -> None:
    jobs = service.entities["asyncoperations"]
    assert service.query(jobs).filter(jobs.statecode == 0).all() == []
