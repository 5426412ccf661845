"""A database's URL, whose password does not show by accident."""

import re

PASSWORD = re.compile(r"(?<=:)[^:/@]+(?=@)")


class DatabaseUrl(str):
    """A libpq URL. Whoever is given it can connect; where it is printed or displayed, its password is ***.

    Its characters are the whole URL, so it can be given to psycopg, SQLAlchemy and others as it is. `reveal`
    returns it for a place where only text goes on, such as an f-string.
    """

    __slots__ = ()

    def reveal(self) -> str:
        """Return the whole URL as plain text, with the password."""
        return "".join(self)

    def __str__(self) -> str:
        """Return it with *** in place of the password; so do print, format and f-strings."""
        return PASSWORD.sub("***", self.reveal())

    def __repr__(self) -> str:
        """Return the text that a notebook displays, without the password."""
        return repr(str(self))
