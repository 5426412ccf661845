"""A database's URL: whoever is given it can connect, and nobody who sees it printed has its password."""

import json
import pickle

import pytest
from psycopg.conninfo import conninfo_to_dict

from labkit.postgres import DatabaseUrl

WHOLE = "postgresql://postgres:a-Word_1@127.0.0.1:5433/catalog"
URL = DatabaseUrl(WHOLE)


def test_its_password_is_hidden_wherever_it_is_shown() -> None:
    """print, f-strings, a display and a table have *** in place of the password."""
    assert (str(URL), f"{URL}", repr(URL), f"{[URL]}") == (
        "postgresql://postgres:***@127.0.0.1:5433/catalog",
        "postgresql://postgres:***@127.0.0.1:5433/catalog",
        "'postgresql://postgres:***@127.0.0.1:5433/catalog'",
        "['postgresql://postgres:***@127.0.0.1:5433/catalog']",
    )


def test_a_library_that_is_given_it_gets_the_password() -> None:
    """Its characters are the whole URL, also in another process."""
    assert conninfo_to_dict(URL)["password"] == "a-Word_1"  # noqa: S105 - of a test
    assert URL == WHOLE == URL.reveal() == pickle.loads(pickle.dumps(URL)) == json.loads(json.dumps(URL))  # noqa: S301 - our own
    assert type(URL.reveal()) is str


@pytest.mark.parametrize("url", ["postgresql://postgres@127.0.0.1:5433/a", "postgresql:///a"])
def test_a_url_without_a_password_is_shown_as_it_is(url: str) -> None:
    """Nothing else is taken for a password."""
    assert str(DatabaseUrl(url)) == url
