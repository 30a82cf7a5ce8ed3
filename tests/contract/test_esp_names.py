"""Choosing a provider by name, and what is said when that does not work."""

from __future__ import annotations

from pathlib import Path

import pytest

from emails.esp import EspSettingsError, MissingSecret, UnknownProvider, make_esp, provider_names
from pipeline.secrets import provider_needs
from tests.dialects import dialect, dialect_names

SECRETS = {name: value for each in dialect_names() for name, value in dialect(each).secrets.items()}
"""What every provider needs; the secret ones have `canary` in them."""
HERE = Path("outbox")


@pytest.mark.parametrize("name", provider_names())
def test_every_name_makes_a_provider_that_says_its_name(name: str) -> None:
    esp = make_esp(name, env=SECRETS, outbox_folder=HERE)
    assert esp.capabilities.name == name
    assert "canary" not in repr(esp)
    esp.close()


@pytest.mark.parametrize("name", provider_names())
def test_the_settings_ask_for_what_the_provider_needs(name: str) -> None:
    """`weekbrief check` names a missing secret before anything is made."""
    make_esp(name, env={each: SECRETS[each] for each in provider_needs(name)}, outbox_folder=HERE).close()
    for needed in provider_needs(name):
        with pytest.raises(MissingSecret, match=needed):
            make_esp(
                name,
                env={each: SECRETS[each] for each in provider_needs(name) if each != needed},
                outbox_folder=HERE,
            )


def test_an_unknown_name_is_met_with_the_nearest() -> None:
    with pytest.raises(UnknownProvider, match=r"provider.name: .*'resent'; did you mean resend\?"):
        make_esp("resent", env={}, outbox_folder=HERE)


def test_a_name_like_no_other_is_met_with_all() -> None:
    with pytest.raises(UnknownProvider, match="there are sandbox, outbox, resend"):
        make_esp("xyzzy", env={}, outbox_folder=HERE)


@pytest.mark.parametrize("env", [{}, {"RESEND_API_KEY": ""}, {"RESEND_API_KEY": "  \n"}])
def test_a_missing_secret_is_named_with_where_to_put_it(env: dict[str, str]) -> None:
    with pytest.raises(
        MissingSecret, match=r"RESEND_API_KEY is missing.*\.env.*RESEND_API_KEY_FILE"
    ) as caught:
        make_esp("resend", env=env, outbox_folder=HERE)
    assert (caught.value.name, caught.value.provider) == ("RESEND_API_KEY", "resend")


@pytest.mark.parametrize("value", ["re_canary\nX: y", "re_canaré"])
def test_a_secret_no_header_can_hold_is_refused_without_showing_it(value: str) -> None:
    with pytest.raises(EspSettingsError) as caught:
        make_esp("resend", env={"RESEND_API_KEY": value}, outbox_folder=HERE)
    assert "re_canar" not in str(caught.value)


def test_a_final_line_break_in_a_secret_is_forgiven() -> None:
    make_esp("resend", env={"RESEND_API_KEY": "re_canary\n"}, outbox_folder=HERE).close()


@pytest.mark.parametrize("name", provider_names())
def test_the_batch_size_is_at_most_the_providers(name: str) -> None:
    most = make_esp(name, env=SECRETS, outbox_folder=HERE).capabilities.max_batch
    fewer = max(1, most - 1)
    assert make_esp(name, env=SECRETS, batch_size=fewer, outbox_folder=HERE).capabilities.max_batch == fewer
    for wrong in (0, -1, 10_000):
        with pytest.raises(EspSettingsError, match=r"provider\.batch_size"):
            make_esp(name, env=SECRETS, batch_size=wrong, outbox_folder=HERE)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example",
        "ftp://api.example",
        "api.example",
        "https://",
        "https://key@api.example",
        "https://a:b@api.example",
        "https://api.example/?x=1",
        "https://api.example:port",
        "https://[::1",
    ],
)
def test_a_base_url_that_will_not_do_is_refused(url: str) -> None:
    with pytest.raises(EspSettingsError, match=r"provider\.base_url"):
        make_esp("resend", base_url=url, env=SECRETS, outbox_folder=HERE)


@pytest.mark.parametrize(
    "url", ["https://api.example/", "http://127.0.0.1:8026", "http://localhost", "http://[::1]:1/v1/"]
)
def test_a_base_url_on_this_machine_may_do_without_tls(url: str) -> None:
    make_esp("resend", base_url=url, env=SECRETS, outbox_folder=HERE).close()
