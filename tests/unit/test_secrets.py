"""Secrets: where they come from, which place wins, and that they show nowhere."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emails.esp import provider_names
from pipeline.complaints import SettingsError
from pipeline.secrets import Secret, missing, new_secret, provider_needs, read_secrets

KEY = "RESEND_API_KEY"


def revealed(folder: Path, env: dict[str, str] | None = None) -> dict[str, str]:
    return {name: secret.reveal() for name, secret in read_secrets(folder, env or {}).items()}


def complaints(folder: Path, env: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read_secrets(folder, env or {})
    return str(caught.value).splitlines()


def test_without_any_there_are_none(tmp_path: Path):
    assert revealed(tmp_path, {"HOME": "/x", KEY: ""}) == {}


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("RESEND_API_KEY=re_1", "re_1"),
        ("RESEND_API_KEY = re_1 ", "re_1"),
        ("export RESEND_API_KEY=re_1", "re_1"),
        ('RESEND_API_KEY="re 1"', "re 1"),
        ("RESEND_API_KEY='re#1'  # the real one", "re#1"),
        ("RESEND_API_KEY=re_1 # the real one", "re_1"),
        ("RESEND_API_KEY=re#1=", "re#1="),
        ("\ufeffRESEND_API_KEY=re_1\r", "re_1"),
    ],
)
def test_a_line_of_env_is_read_as_people_write_it(tmp_path: Path, line: str, value: str):
    (tmp_path / ".env").write_bytes(f"{line}\n\n# end\nOTHER=1\n".encode())
    assert revealed(tmp_path) == {KEY: value}


def test_the_environment_wins_and_a_value_wins_over_a_file(tmp_path: Path):
    (tmp_path / "key").write_text("from file\n")
    (tmp_path / ".env").write_text(f"{KEY}=from env file\n{KEY}_FILE=key\n")
    assert revealed(tmp_path) == {KEY: "from env file"}
    assert revealed(tmp_path, {f"{KEY}_FILE": "key"}) == {KEY: "from file"}
    assert revealed(tmp_path, {KEY: "from environment", f"{KEY}_FILE": "key"}) == {KEY: "from environment"}
    assert revealed(tmp_path, {KEY: ""}) == {KEY: "from env file"}


@pytest.mark.fault(105)
def test_every_bad_line_is_named_and_no_value_repeated(tmp_path: Path):
    (tmp_path / ".env").write_text(
        'this is hunter2\n\n1X=hunter2\nRESEND_API_KEY="hunter2\nBREVO_API_KEY_FILE=no\n'
    )
    found = complaints(tmp_path)
    assert [line.removeprefix(f"{tmp_path}/").split(": ")[0] for line in found] == [
        ".env:1",
        ".env:3",
        ".env:4",
        ".env:5",
    ]
    assert "BREVO_API_KEY_FILE: cannot read 'no': No such file" in found[3]
    assert "hunter2" not in "".join(found)


@pytest.mark.fault(105)
@pytest.mark.parametrize("content", [b"", b" \n", b"\xff\xfe\x00"])
def test_a_file_that_holds_no_secret_is_named(tmp_path: Path, content: bytes):
    (tmp_path / "key").write_bytes(content)
    found = complaints(tmp_path, {f"{KEY}_FILE": "key"})
    assert len(found) == 1 and found[0].startswith(f"environment: {KEY}_FILE: ") and "'key'" in found[0]


def test_an_env_that_is_no_text_is_named(tmp_path: Path):
    (tmp_path / ".env").write_bytes(b"\xff\xfe")
    assert complaints(tmp_path) == [f"{tmp_path}/.env: cannot be read: it is not UTF-8 text"]


@pytest.mark.fault(105)
def test_a_short_signing_secret_is_refused_with_how_to_make_one(tmp_path: Path):
    found = complaints(tmp_path, {"WEEKBRIEF_SECRET": "x" * 31})
    assert len(found) == 1 and "has 31 characters and needs 32 or more; make one with: python3 -c" in found[0]
    made = new_secret()
    assert len(made) == 64 and revealed(tmp_path, {"WEEKBRIEF_SECRET": made}) == {"WEEKBRIEF_SECRET": made}
    assert made != new_secret()


@pytest.mark.fault(132)
@pytest.mark.parametrize("value", ["re_\nX-Evil: 1", "re_\0", "re_é"])
def test_a_secret_cannot_carry_a_header(tmp_path: Path, value: str):
    found = complaints(tmp_path, {KEY: value})
    assert found == [f"environment: {KEY} has characters that no key has; copy it again"]


@pytest.mark.fault(146)
def test_a_secret_shows_nowhere():
    secret = Secret("hunter2")
    assert "hunter2" not in f"{secret} {secret!r} {[secret]} {{'k': {secret}}}"
    assert secret == Secret("hunter2") and secret != Secret("hunter3") and secret != "hunter2"
    assert len({secret, Secret("hunter2")}) == 1
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def test_each_provider_has_its_list_of_needs():
    assert provider_needs("resend") == (KEY,)
    assert provider_needs("mailgun") == ("MAILGUN_API_KEY", "MAILGUN_DOMAIN")
    assert provider_needs("ses") == ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")
    assert provider_needs("outbox") == provider_needs("sandbox") == ()
    with pytest.raises(ValueError, match="pigeon"):
        provider_needs("pigeon")
    assert all(isinstance(provider_needs(name), tuple) for name in provider_names())


def test_what_is_missing_is_said_with_the_mend():
    assert missing((KEY,), {KEY: Secret("x")}) is None
    assert missing((KEY,), {}) == (
        f"{KEY} is not set: put {KEY}=… in .env beside schedule.yaml, or in the environment"
    )
    assert "make one with" in (missing(("WEEKBRIEF_SECRET", KEY), {}) or "")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=120) | st.text("RESEND_API_KEY='\"# \n=\0x", max_size=80).map(str.encode))
def test_any_bytes_as_env_are_secrets_or_complaints(tmp_path: Path, content: bytes):
    (tmp_path / ".env").write_bytes(content)
    try:
        assert set(read_secrets(tmp_path, {})) <= {KEY}
    except SettingsError as error:
        assert all(line.startswith(f"{tmp_path}/.env") for line in str(error).splitlines())
