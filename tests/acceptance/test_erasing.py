"""Being forgotten: a canary is searched for in every table, in the files of the database, in the logs and in
an export, after everything that could have kept it. On both databases."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy import insert, select, update

from emails.events import Event, EventKind
from pipeline.store import tables
from pipeline.store.engine import StorageError, is_sqlite
from pipeline.store.events import Report
from pipeline.store.suppressions import Suppression
from subscribers.addresses import normalise
from subscribers.consent import verify
from subscribers.ports import AddOutcome
from subscribers.scrubbing import NOBODY, scrubbed
from subscribers.subscriber import Subscriber
from subscribers.suppression import SuppressionReason
from tests import builders
from tests.acceptance.newsletter import Folder, newsletter
from tests.acceptance.test_web_own import everything, letter_sent, own_url
from tests.serving import Site, newsletter_site

CANARY = "kanarie.7421@Voorbeeld.example"
KEY = normalise(CANARY).key
NAME = "Zeldzaam van Naam"
NETWORK = "198.51.100.0/24"
OTHER = "bo@voorbeeld.example"


@pytest.fixture
def site(storage: str) -> Iterator[Site]:
    with newsletter_site(storage) as running:
        yield running


@pytest.fixture
def web() -> Iterator[httpx.Client]:
    with httpx.Client(follow_redirects=False, timeout=10) as client:
        yield client


def sign_up(site: Site, web: httpx.Client, address: str = CANARY) -> Subscriber:
    """Joins and confirms; gives who that is."""
    before = len(site.asked)
    web.post(f"{site.base}/join", data={"email": address, "name": NAME})
    site.wait_for_asks(before + 1)
    web.post(site.confirm_url(site.asked[-1]))
    found = site.opened.subscribers.by_key(normalise(address).key)
    assert found is not None
    return found


def leave_traces(site: Site, web: httpx.Client) -> int:
    """Somebody of whom as much is kept as there ever can be; their number."""
    other = site.reader(OTHER)
    person = sign_up(site, web)
    with site.opened.engine.begin() as connection:
        connection.execute(
            update(tables.consent)
            .where(tables.consent.c.subscriber_id == person.id)
            .values(network=NETWORK, network_salt="s" * 32)
        )
    delivery_id = letter_sent(site, person.id)
    bounced = {"email": CANARY, "others": [OTHER, KEY.upper()], "id": delivery_id}
    with site.opened.engine.begin() as connection:
        connection.execute(
            update(tables.event)
            .where(tables.event.c.delivery_id == delivery_id)
            .values(detail=f"550 5.1.1 <{CANARY}> unknown")
        )
        connection.execute(
            insert(tables.incoming),
            [
                {
                    "provider": "resend",
                    "received_at": site.clock(),
                    "body": body,
                    "headers": json.dumps({"x": CANARY}),
                    "error": f"no {KEY} here",
                }
                for body in (
                    json.dumps(bounced).encode(),
                    json.dumps(bounced).replace("@", "\\u0040").encode(),
                    f"event=bounced&recipient={quote(CANARY)}&to={quote(KEY, safe='')}".encode(),
                )
            ],
        )
    web.post(f"{own_url(site, person.id)}/address", data={"email": "kanarie.7421+nieuw@voorbeeld.example"})
    web.post(f"{own_url(site, other)}/address", data={"email": CANARY})
    return person.id


def found_in(site: Site, *words: str) -> set[str]:
    """Tables that hold one of `words` in whatever column, in whatever case."""
    with site.opened.engine.connect() as connection:
        rows = {
            table.name: "\n".join(str(tuple(row)) for row in connection.execute(select(table)))
            for table in tables.metadata.sorted_tables
        }
    return {name for name, shown in rows.items() if any(word.lower() in shown.lower() for word in words)}


def files_of(site: Site) -> bytes:
    """What stands in the files of the database, the free parts as well."""
    path = site.opened.engine.url.database or ""
    return b"".join(file.read_bytes() for file in sorted(Path(path).parent.glob(Path(path).name + "*")))


@pytest.mark.fault(85)
@pytest.mark.standard("G-09")
def test_nothing_is_left_of_a_person_but_a_hash(
    site: Site, web: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="weekbrief")
    number = leave_traces(site, web)
    kept_in = {"address_change", "consent", "delivery", "event", "incoming", "subscriber"}
    assert found_in(site, "kanarie.7421", NAME, NETWORK) == kept_in, "there is something to forget"
    if is_sqlite(site.opened.engine):
        assert b"kanarie.7421" in files_of(site)
    before = list(site.opened.consents.of(number))
    own = own_url(site, number)
    assert "Alles is gewist" in web.post(f"{own}/erase").text
    assert found_in(site, "kanarie.7421", "kanarie", NAME, NETWORK) == set()
    if is_sqlite(site.opened.engine):
        left = files_of(site).lower()
        assert b"kanarie" not in left
        assert NAME.encode().lower() not in left
        assert NETWORK.encode() not in left
    assert "kanarie" not in caplog.text.lower()
    assert site.opened.subscribers.by_id(number) is not None, "a number, so that sums stay right"
    after = list(site.opened.consents.of(number))
    assert [found.sha256 for found in after] == [found.sha256 for found in before]
    assert verify(site.opened.consents.chain()).broken is None
    assert site.state(site.reader(OTHER)) == "active"


@pytest.mark.fault(85)
def test_what_others_said_in_the_same_report_stays(site: Site, web: httpx.Client) -> None:
    number = leave_traces(site, web)
    site.opened.subscribers.erase(number, shadow=site.signer.shadow(KEY), at=site.clock())
    with site.opened.engine.connect() as connection:
        bodies = [bytes(body) for body in connection.execute(select(tables.incoming.c.body)).scalars()]
    told = json.loads(bodies[0])
    assert told["others"] == [OTHER, NOBODY.decode()]
    assert json.loads(bodies[1])["email"] == NOBODY.decode()
    assert bodies[2] == b"event=bounced&recipient=%b&to=%b" % (NOBODY, NOBODY)


@pytest.mark.fault(85)
def test_sums_of_past_editions_stay_right(site: Site, web: httpx.Client) -> None:
    number = leave_traces(site, web)
    edition = site.opened.editions.newest()
    assert edition is not None
    counts = site.opened.check_sum(edition.id)
    site.opened.subscribers.erase(number, shadow=site.signer.shadow(KEY), at=site.clock())
    after = site.opened.check_sum(edition.id)
    assert (after.frozen, after.accepted) == (counts.frozen, counts.accepted)


@pytest.mark.fault(122)
@pytest.mark.standard("U-05")
@pytest.mark.standard("U-08")
def test_links_in_old_letters_still_answer_after_an_erasure(site: Site, web: httpx.Client) -> None:
    number = leave_traces(site, web)
    url, own = site.unsubscribe_url(number), own_url(site, number)
    web.post(f"{own}/erase")
    before = everything(site)
    one_click = {"List-Unsubscribe": "One-Click"}
    for _ in range(2):
        answer = web.post(url, data=one_click)
        assert answer.status_code == 200
        assert "Je bent afgemeld" in answer.text
    for path in (f"{url}/preferences", f"{url}/preferences/link", f"{url}/undo"):
        answer = web.post(path, data={"pause": "2"})
        assert answer.status_code == 200
        assert "Je bent afgemeld" in answer.text
    for path in (own, f"{own}/data.json", f"{own}/erase"):
        assert "Alles is gewist" in web.get(path).text
    assert "Alles is gewist" in web.post(f"{own}/erase").text
    assert everything(site) == before


@pytest.mark.standard("G-09")
def test_no_import_brings_them_back_and_a_fresh_yes_of_their_own_does(site: Site, web: httpx.Client) -> None:
    number = leave_traces(site, web)
    web.post(f"{own_url(site, number)}/erase")
    assert site.suppression(CANARY) is SuppressionReason.ERASED
    people = [(normalise(each), "", "nl") for each in (CANARY.upper(), "nieuw@voorbeeld.example")]
    outcomes = list(site.opened.subscribers.add_many(people, consent=builders.imported()))
    assert outcomes == [AddOutcome.SUPPRESSED, AddOutcome.ADDED]
    assert found_in(site, "kanarie") == set()
    again = sign_up(site, web)
    assert again.id != number
    assert site.state(again.id) == "active"
    assert site.suppression(CANARY) is None
    outcome = site.opened.subscribers.add_confirmed(
        normalise(CANARY), name="", language="nl", consent=builders.imported()
    )
    assert outcome is AddOutcome.ALREADY_ACTIVE


def test_without_the_secret_nobody_is_added_where_people_were_erased(site: Site, web: httpx.Client) -> None:
    from pipeline.store import open_store

    url = site.opened.engine.url.render_as_string(hide_password=False)
    number = sign_up(site, web).id
    site.opened.subscribers.erase(number, shadow=site.signer.shadow(KEY), at=site.clock())
    blind = open_store(url.replace("postgresql+psycopg", "postgresql"), now=site.clock())
    with pytest.raises(StorageError, match="WEEKBRIEF_SECRET"):
        blind.subscribers.add_confirmed(normalise(OTHER), name="", language="nl", consent=builders.imported())
    blind.close()


@pytest.mark.fault(85)
def test_an_address_that_is_no_subscribers_can_be_forgotten_too(site: Site, web: httpx.Client) -> None:
    other = site.reader(OTHER)
    site.suppress(CANARY, SuppressionReason.COMPLAINT)
    assert found_in(site, "kanarie") == {"suppression"}
    shadow = site.signer.shadow(KEY)
    assert site.opened.subscribers.erase_stranger(KEY, shadow=shadow, at=site.clock())
    assert found_in(site, "kanarie") == set()
    assert site.suppression(CANARY) is SuppressionReason.ERASED
    assert not site.opened.subscribers.erase_stranger(KEY, shadow=shadow, at=site.clock())
    assert site.state(other) == "active"


def test_a_body_is_scrubbed_in_every_spelling_and_nowhere_else() -> None:
    for written in (b"Kanarie.7421@VOORBEELD.example", b"kanarie.7421%40voorbeeld.example"):
        assert scrubbed(b"a %b b" % written, [CANARY]) == b"a %b b" % NOBODY
    odd = 'jörg"x@voorbeeld.example'
    for written in (odd.encode(), json.dumps(odd)[1:-1].encode(), quote(odd, safe="").encode()):
        assert scrubbed(b"[%b]" % written, [odd]) == b"[%b]" % NOBODY
    assert scrubbed(b"kanarie.742@voorbeeld.example", [CANARY]) == b"kanarie.742@voorbeeld.example"
    assert scrubbed(b"anything", []) == b"anything"


# The command


@pytest.fixture
def folder(tmp_path: Path, storage: str) -> Iterator[Folder]:
    with newsletter(tmp_path / "brief", storage=storage) as made:
        yield made


@pytest.mark.fault(85)
@pytest.mark.standard("G-09")
def test_the_command_forgets_and_remove_only_stops(folder: Folder) -> None:
    folder.subscribe(3)
    assert folder.run()["counts"]["accepted"] == 3
    held = json.loads(folder.weekbrief("subscribers", "show", "lezer1@example.org", "--json").stdout)
    assert (held["name"], held["state"]) == ("Lezer 1", "active")
    assert [(letter["edition"], letter["state"]) for letter in held["letters"]] == [
        ("2026-11-29", "accepted")
    ]
    assert [consent["kind"] for consent in held["consents"]] == ["imported"]
    removed = folder.weekbrief("subscribers", "remove", "lezer2@example.org")
    assert removed.returncode == 0
    done = folder.weekbrief("subscribers", "erase", "Lezer1@Example.org")
    assert done.returncode == 0, done.stderr
    assert "lezer1" not in (done.stdout + done.stderr).lower()
    shown = folder.weekbrief("subscribers", "list", "--json")
    states = [json.loads(line) for line in shown.stdout.splitlines()]
    assert {row["address"]: row["state"] for row in states if row["address"]} == {
        "lezer2@example.org": "unsubscribed",
        "lezer3@example.org": "active",
    }
    for words in (("list", "--json"), ("list",), ("export", "-")):
        said = folder.weekbrief("subscribers", *words)
        assert "lezer1@" not in said.stdout.lower(), words
    audit = folder.weekbrief("audit", "2026-11-29", "--json")
    assert "lezer1@" not in audit.stdout.lower()
    again = folder.weekbrief("subscribers", "erase", "lezer1@example.org", "--json")
    assert (again.returncode, json.loads(again.stdout)) == (0, {"erased": False})
    assert folder.weekbrief("subscribers", "erase", "lezer1@example.org").returncode == 1
    folder.subscribe(3)
    back = folder.weekbrief("subscribers", "show", "lezer1@example.org")
    assert back.returncode == 1, "the import left them out"
    evidence = folder.weekbrief("subscribers", "verify")
    assert evidence.returncode == 0, evidence.stdout + evidence.stderr


# An erased address that somebody names again


@pytest.mark.standard("G-09")
def test_no_command_brings_an_erased_address_back_in_clear(folder: Folder) -> None:
    folder.subscribe(3)
    who = "lezer1@example.org"
    assert folder.weekbrief("subscribers", "erase", who).returncode == 0
    before = shown(folder)
    assert [(each["reason"], each["source"]) for each in before] == [("erased", "erased")]
    (hashed,) = (each["address"] for each in before)

    old = folder.path / "old.csv"
    old.write_text(f"email,reason\n{who},hard_bounce\nother@example.org,hard_bounce\n", "utf-8")
    assert folder.weekbrief("suppressions", "import", str(old)).returncode == 0
    left = folder.path / "left.csv"
    left.write_text(f"email,status\n{who},complained\n", "utf-8")
    assert folder.weekbrief("subscribers", "import", str(left)).returncode == 0
    done = folder.weekbrief("suppressions", "add", "Lezer1@EXAMPLE.org", "--source", "a phone call", "--json")
    assert json.loads(done.stdout)["new"] == 1, "by hand is the strongest reason"

    now = {each["address"]: (each["reason"], each["source"]) for each in shown(folder)}
    assert now[hashed] == ("manual", "a phone call")
    assert set(now) == {hashed, "other@example.org"}
    for words in (("list", "--json"), ("export", "-"), ("export", "-", "--format", "jsonl")):
        assert "lezer1@" not in folder.weekbrief("subscribers", *words).stdout.lower(), words
    folder.subscribe(3)
    assert folder.weekbrief("subscribers", "show", who).returncode == 1, "it keeps the import out"

    words = ("suppressions", "remove", who, "--reason", "a mistake")
    assert folder.weekbrief(*words).returncode == 0
    now = {each["address"]: (each["reason"], each["source"]) for each in shown(folder)}
    assert now[hashed] == ("erased", "erased"), "what they asked for stands"
    assert folder.weekbrief(*words).returncode == 2
    folder.subscribe(3)
    assert folder.weekbrief("subscribers", "show", who).returncode == 1
    assert folder.weekbrief("suppressions", "remove", hashed, "--reason", "their wish").returncode == 0
    folder.subscribe(3)
    assert folder.weekbrief("subscribers", "show", who).returncode == 0


def shown(folder: Folder) -> list[dict[str, str]]:
    lines = folder.weekbrief("suppressions", "list", "--json").stdout.splitlines()
    return [json.loads(line) for line in lines]


def test_without_the_secret_nothing_is_suppressed_where_people_were_erased(folder: Folder) -> None:
    """It could not be seen that the address is one of those, and would be kept in clear."""
    folder.subscribe(2)
    words = ("suppressions", "add", "lezer1@example.org")
    assert folder.weekbrief("subscribers", "erase", "lezer1@example.org").returncode == 0
    done = folder.weekbrief(*words, WEEKBRIEF_SECRET="")
    assert done.returncode != 0
    assert "WEEKBRIEF_SECRET" in done.stderr
    assert len(shown(folder)) == 1
    assert folder.weekbrief(*words).returncode == 0


def suppressed_by(site: Site, kind: EventKind, delivery_id: str) -> int:
    """How many addresses a report about this delivery suppresses."""
    event = Event(
        provider="resend",
        key="e1",
        kind=kind,
        delivery_id=delivery_id,
        edition=builders.mailing().edition,
        occurred_at=site.clock(),
    )
    return site.opened.events.take([Report(event=event, received_at=site.clock(), signed=True)]).suppressed


@pytest.mark.fault(85)
@pytest.mark.standard("G-09")
def test_a_report_on_a_letter_that_was_under_way_leaves_the_hash_alone(site: Site, web: httpx.Client) -> None:
    """Until it is settled the delivery keeps its address; a bounce must not carry that over."""
    person = sign_up(site, web)
    delivery_id = letter_sent(site, person.id)
    with site.opened.engine.begin() as connection:
        connection.execute(update(tables.delivery).values(state="submitted"))
    site.opened.subscribers.erase(person.id, shadow=site.signer.shadow(KEY), at=site.clock())
    assert found_in(site, "kanarie") == {"delivery"}
    assert suppressed_by(site, EventKind.COMPLAINT, delivery_id) == 1
    assert found_in(site, "kanarie") == {"delivery"}
    assert site.suppression(CANARY) is SuppressionReason.COMPLAINT
    edition = site.opened.editions.newest()
    assert edition is not None
    site.opened.editions.finish(edition, now=site.clock())
    assert found_in(site, "kanarie") == set()


@pytest.mark.fault(85)
@pytest.mark.standard("G-09")
def test_a_report_on_an_address_they_had_moved_away_from_does_not_bring_it_back(
    site: Site, web: httpx.Client
) -> None:
    person = sign_up(site, web)
    delivery_id = letter_sent(site, person.id)
    with site.opened.engine.begin() as connection:
        connection.execute(update(tables.delivery).values(state="submitted"))
        connection.execute(
            update(tables.subscriber)
            .where(tables.subscriber.c.id == person.id)
            .values(address=OTHER, address_key=OTHER)
        )
    site.opened.subscribers.erase(person.id, shadow=site.signer.shadow(OTHER), at=site.clock())
    assert found_in(site, "kanarie") == {"delivery"}
    assert suppressed_by(site, EventKind.HARD_BOUNCE, delivery_id) == 1
    assert found_in(site, "kanarie") == {"delivery"}
    assert site.suppression(CANARY) is SuppressionReason.HARD_BOUNCE


def test_what_the_operator_says_of_an_erased_address_holds_when_its_owner_comes_back(
    site: Site, web: httpx.Client
) -> None:
    """They may confirm with a link from before; the sender, who knows no hashes, must not mail them."""
    number = sign_up(site, web).id
    site.opened.subscribers.erase(number, shadow=site.signer.shadow(KEY), at=site.clock())
    asked = len(site.asked)
    web.post(f"{site.base}/join", data={"email": CANARY, "name": NAME})
    site.wait_for_asks(asked + 1)
    stop = Suppression(
        address_key=KEY, reason=SuppressionReason.MANUAL, source="a phone call", since=site.clock()
    )
    assert site.opened.suppressions.add([stop]) == 1
    assert found_in(site, "kanarie") == {"subscriber"}, "they are asked, and not yet here"
    assert web.post(site.confirm_url(site.asked[-1])).status_code == 200
    assert site.suppression(CANARY) is SuppressionReason.MANUAL
    assert site.opened.editions.audience_size(builders.slot()) == 0
