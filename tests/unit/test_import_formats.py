"""Lists as other programs export them: whose it is, what each column means, who may come in."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subscribers.cells import neutral, plain
from subscribers.import_formats import FORMATS, NAMES, ListStatus
from subscribers.importing import ImportProblem, ImportRow, ListFile, Reading

pytestmark = pytest.mark.fault(91)


def read(text: str | bytes, **reading: object) -> tuple[ListFile, list[ImportRow], list[str]]:
    raw = text.encode() if isinstance(text, str) else text
    found = ListFile(io.BytesIO(raw), Reading(**reading))  # type: ignore[arg-type]  # by name, from the test
    every = list(found)
    rows = [one for one in every if isinstance(one, ImportRow)]
    return found, rows, [str(one) for one in every if isinstance(one, ImportProblem)]


EXPORTS = {
    "mailchimp": (
        '"Email Address","First Name","Last Name",MEMBER_RATING,OPTIN_TIME,OPTIN_IP,CONFIRM_TIME,LEID,TAGS\n'
        'anna@x.example,Anna,Bos,2,"2021-03-04 10:00:00",,"2021-03-04 10:05:00",11,\n'
    ),
    "substack": (
        "email,active_subscription,expiry,plan,email_disabled,created_at,first_payment_at\n"
        "anna@x.example,false,,other,false,2021-03-04T10:05:00.123Z,\n"
    ),
    "kit": (
        "first_name,email_address,state,created_at,tags\n"
        "Anna Bos,anna@x.example,active,2021-03-04 10:05:00,\n"
    ),
    "beehiiv": (
        "email,First Name,Last Name,status,tier,created_at,stripe_customer_id,unsubscribed_at\n"
        "anna@x.example, Anna ,Bos,active,free,2021-03-04 10:05:00 UTC,,\n"
    ),
    "buttondown": (
        "id,email,notes,subscriber_type,creation_date,subscription_date,unsubscription_date\n"
        "1,anna@x.example,,regular,2021-03-01,2021-03-04T10:05:00Z,\n"
    ),
    "ghost": (
        "id,email,name,note,subscribed_to_emails,complimentary_plan,stripe_customer_id,created_at,deleted_at\n"
        "m1,anna@x.example,Anna Bos,,true,false,,2021-03-04T10:05:00.000Z,\n"
    ),
    "listmonk": (
        "uuid,email,name,attributes,status,created_at,updated_at\n"
        'a-b,anna@x.example,Anna Bos,"{""city"":""Utrecht""}",enabled,2021-03-04,2021-03-04\n'
    ),
    "mailerlite": (
        "Subscriber,Name,Last name,Subscribed,Unsubscribed\nanna@x.example,Anna,Bos,2021-03-04 10:05:00,\n"
    ),
    "laposta": "email,state,signup_date,confirm_date\nanna@x.example,active,2021-03-01,2021-03-04 10:05:00\n",
    "weekbrief": (
        "email,name,language,status,suppressed_at,consent_at,consent_source\n"
        "anna@x.example,Anna Bos,nl,active,,2021-03-04T10:05:00+00:00,page\n"
    ),
}


def test_every_program_has_an_example_here() -> None:
    assert set(EXPORTS) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_an_export_is_recognised_and_its_columns_are_understood(name: str) -> None:
    found, rows, problems = read(EXPORTS[name])
    assert found.format.name == name
    assert problems == []
    [row] = rows
    assert row.address.address == "anna@x.example"
    assert row.status is (None if name in {"mailchimp", "mailerlite"} else ListStatus.ACTIVE)
    if name not in {"substack", "buttondown", "laposta"}:
        assert row.name == "Anna Bos"
    if name == "listmonk":
        assert not found.tells_consent
    else:
        assert row.consent_at is not None
        assert row.consent_at.replace(microsecond=0) == datetime(2021, 3, 4, 10, 5, tzinfo=UTC)
        assert row.consent_source


@pytest.mark.parametrize("name", NAMES)
def test_an_export_that_is_named_is_read_the_same(name: str) -> None:
    assert read(EXPORTS[name], program=name)[1] == read(EXPORTS[name])[1]


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (EXPORTS["kit"].replace("active", "cancelled"), ListStatus.UNSUBSCRIBED),
        (EXPORTS["kit"].replace("active", "bounced"), ListStatus.BOUNCED),
        (EXPORTS["kit"].replace("active", "complained"), ListStatus.COMPLAINED),
        (EXPORTS["kit"].replace("active", "inactive"), ListStatus.UNCONFIRMED),
        (EXPORTS["beehiiv"].replace("active", "inactive"), ListStatus.UNSUBSCRIBED),
        (EXPORTS["beehiiv"].replace("UTC,,", "UTC,,2024-01-01 00:00:00 UTC"), ListStatus.UNSUBSCRIBED),
        (EXPORTS["substack"].replace("other,false", "other,true"), ListStatus.UNSUBSCRIBED),
        (EXPORTS["ghost"].replace(",true,false", ",false,false"), ListStatus.UNSUBSCRIBED),
        (EXPORTS["buttondown"].replace("regular", "undeliverable"), ListStatus.BOUNCED),
        (EXPORTS["buttondown"].replace("regular", "past_due"), ListStatus.ACTIVE),
        (EXPORTS["listmonk"].replace("enabled", "blocklisted"), ListStatus.BLOCKED),
        (EXPORTS["mailerlite"].replace(":00,", ":00,2024-01-01"), ListStatus.UNSUBSCRIBED),
        (EXPORTS["laposta"].replace("active", "cleaned"), ListStatus.BOUNCED),
        (EXPORTS["weekbrief"].replace("active,", "hard_bounce,2024-01-01"), ListStatus.BOUNCED),
        ("e-mail;status\nanna@x.example;Uitgeschreven\n", ListStatus.UNSUBSCRIBED),
    ],
)
def test_who_may_not_be_mailed_there_is_told(text: str, status: ListStatus) -> None:
    _, rows, problems = read(text)
    assert problems == []
    assert [row.status for row in rows] == [status]
    assert (status.reason is None) == (status in {ListStatus.ACTIVE, ListStatus.UNCONFIRMED})


@pytest.mark.parametrize(
    ("file_name", "status"),
    [
        ("subscribed_members_export_1f.csv", ListStatus.ACTIVE),
        ("unsubscribed_members_export_1f.csv", ListStatus.UNSUBSCRIBED),
        ("cleaned_members_export_1f.csv", ListStatus.BOUNCED),
        ("nonsubscribed_members_export_1f.csv", ListStatus.UNCONFIRMED),
        ("list.csv", None),
    ],
)
def test_mailchimp_says_it_in_the_name_of_the_file(file_name: str, status: ListStatus | None) -> None:
    text = "Email Address,MEMBER_RATING\nanna@x.example,2\n"
    [row] = read(text, file_name=file_name)[1]
    assert row.status is status


def test_a_word_nobody_told_us_about_is_a_bad_row_and_never_a_reader() -> None:
    text = "email,status\na@x.example,vip\nb@x.example,geheim@x.example\nc@x.example,active\n"
    _, rows, problems = read(text)
    assert [row.line for row in rows] == [4]
    assert problems == [
        "line 2: status: nobody told us what 'vip' means here; pass the column over with --map status=",
        "line 3: status: nobody told us what means here; pass the column over with --map status=",
    ]
    assert len(read(text, columns={"status": []})[1]) == 3


def test_columns_can_be_named() -> None:
    text = "Voor;Achter;Contact;Sinds\nAnna;Bos;anna@x.example;2021-03-04\n"
    columns = {"email": ["contact"], "name": ["Voor", "Achter"], "consent_at": ["Sinds"]}
    [row] = read(text, columns=columns)[1]
    assert (row.name, row.consent_at) == ("Anna Bos", datetime(2021, 3, 4, tzinfo=UTC))
    assert row.consent_source == "a plain list: Sinds"
    assert read(text, columns={"email": ["Mail"]})[2] == [
        "line 1: file: no column is called Mail; look at the first line of the file"
    ]


def test_a_program_that_is_named_and_is_not_it_is_said() -> None:
    _, _, problems = read("name,email\nAnna,anna@x.example\n", program="mailchimp")
    assert problems == [
        "line 1: file: this is not the list that mailchimp exports: it has no column for the address"
    ]


@pytest.mark.parametrize("date", ["04-03-2021", "3/4/2021", "vorig jaar", "2021-13-01", "0001-01-01"])
def test_a_date_that_would_be_a_guess_is_a_bad_row(date: str) -> None:
    _, rows, problems = read(f"email,consent_at\na@x.example,{date}\n")
    assert rows == []
    assert problems[0].startswith("line 2: consent_at: it holds a date")


def test_windows_1252_is_told_by_its_letters_and_a_damaged_utf_8_file_is_not_taken_for_it() -> None:
    found, rows, _ = read("email,name\na@x.example,Zoë\nb@x.example,Łucja\n".encode("cp1252", "replace"))
    assert found.guessed
    assert rows[0].name == "Zoë"
    both = "email,name\na@x.example,Zoë\n".encode() + "b@x.example,Zoë\n".encode("cp1252")
    found, rows, problems = read(both)
    assert not found.guessed
    assert [row.name for row in rows] == ["Zoë"]
    assert problems[0].startswith("line 3: row: it holds bytes that are not UTF-8")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_its_mark_is_read(encoding: str) -> None:
    assert read("email,name\na@x.example,Zoë\n".encode(encoding))[1][0].name == "Zoë"


@pytest.mark.fault(144)
@given(st.text(max_size=20) | st.text("=+-@'\t\r\n 1a", max_size=8))
def test_a_cell_comes_back_as_it_was_and_runs_nowhere(text: str) -> None:
    cell = neutral(text)
    assert plain(cell) == text
    assert cell.lstrip()[:1] not in {"=", "+", "-", "@"}
    assert cell[:1] not in {"\t", "\r", "\n"}


def test_no_title_can_mean_two_programs() -> None:
    for one in FORMATS:
        for marks in one.marks:
            assert [other.name for other in FORMATS if other.fits(marks)] == [one.name]


@given(
    st.sampled_from(sorted(EXPORTS)),
    st.lists(
        st.text(max_size=12) | st.sampled_from(["active", "true", "2024-01-01", "a@x.example"]), max_size=12
    ),
    st.binary(max_size=40),
)
def test_nothing_in_an_export_makes_it_stumble(name: str, cells: list[str], noise: bytes) -> None:
    text = (EXPORTS[name] + ",".join(cells) + "\n").encode("utf-8", "surrogatepass") + noise
    for found in ListFile(io.BytesIO(text)):
        assert isinstance(found, ImportRow | ImportProblem)
