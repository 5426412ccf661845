"""Reads a text as a curious person does: whatever form its letters have, and whatever is encoded in it."""

import base64
import binascii
import html
import re
from collections.abc import Callable
from urllib.parse import unquote

import polars as pl

ESCAPES = r"%[0-9A-Fa-f]{2}|&#?\w+;|\\u[0-9A-Fa-f]{4}|(?:=[0-9A-F]{2}){2}"
UNUSUAL, NOTHING = r"[^\x00-\x7F]", r"[\p{Cf}\x00]"
ENCODED = r"[A-Za-z0-9+/_-]{12,}={0,2}|(?:\\x[0-9A-Fa-f]{2}|\b[0-9A-Fa-f]{2}[ :]){6,}|(?:\p{L} ){4,}\p{L}"
"""Texts without these are read as they stand: everything else of a text is plain letters and digits."""

PIECE = re.compile(
    r"(?:\\x[0-9A-Fa-f]{2}){6,}|\b(?:[0-9A-Fa-f]{2}[ :]){5,}[0-9A-Fa-f]{2}\b"
    r"|(?:\\x|0x)?[A-Za-z0-9+/_-]{12,}={0,2}"
)
SPACED = re.compile(r"(?<!\w)(?:[^\W_] ){4,}[^\W_](?!\w)")
HEXADECIMAL = re.compile(r"(?:[0-9A-Fa-f]{2}){6,}")
QUOTED = re.compile(r"(?:=[0-9A-F]{2}){2,}")
"""Letters that are quoted-printable, as RFC 2045 writes them in e-mails."""
ESCAPE = re.compile(r"\\+u([0-9A-Fa-f]{4})")
# Letters that Unicode does not take apart into a letter and an accent.
LETTERS = {"ß": "ss", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "æ": "ae", "œ": "oe", "ı": "i", "þ": "th"}

LEXEME = re.compile(r"'((?:[^']|'')*)'(?::(\d+))?")

LEAST, DEPTH = 6, 3
"""A decoded piece counts from so many characters on, and is itself read so many times."""

# How an e-mail address is written for people: "zeb at mail dot org", "zeb [at] mail.org".
AT = r"(?i)\s*[\[({<]\s*(?:at|@|ät)\s*[\])}>]\s*|[\s_-]+at[\s_-]+|\s+@\s*|\s*@\s+"
DOT = r"(?i)\s*[\[({<]\s*(?:dot|punkt|\.)\s*[\])}>]\s*|[\s_-]+(?:dot|punkt)[\s_-]+"
SAYS_AT = r"(?i)\bat\b|ät\b|_at_|@\s|\s@|\(@"


def plain(texts: pl.Series) -> pl.Series:
    """Return texts in lower case and without accents: "Ångström" and "ANGSTROM" are the same name."""
    lower = texts.str.to_lowercase()
    return where(
        lower,
        UNUSUAL,
        lambda own: own.str.replace_many(LETTERS).str.normalize("NFKD").str.replace_all(r"\p{M}", ""),
    )


def unfolded(texts: pl.Series) -> pl.Series:
    """Return texts in their usual letters: no full width, no letter of no width, no percent-encoding.

    Source: Unicode Standard Annex 15, normalization form NFKC. None stays None.
    """
    plain = where(texts, ESCAPES, lambda own: pl.Series(list(map(_unescaped, own)), dtype=pl.String))
    # After that, because an accent may follow what was escaped.
    return where(plain, UNUSUAL, lambda own: own.str.normalize("NFKC").str.replace_all(NOTHING, ""))


def _unescaped(text: str) -> str:
    text = ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
    # Two escapes may be the halves of one letter; half a letter is none.
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    percent = QUOTED.sub(lambda match: match[0].replace("=", "%"), whole)
    return html.unescape(unquote(unquote(percent)))


def decoded(texts: pl.Series) -> pl.Series:
    """Return texts with what is encoded in them after them: base64, hexadecimal, l e t t e r s  a p a r t."""
    read = where(texts, ENCODED, lambda own: pl.Series(list(map(_decoded, own)), dtype=pl.String))
    return where(read, UNUSUAL, lambda own: own.str.normalize("NFKC").str.replace_all(NOTHING, ""))


def _decoded(text: str, depth: int = DEPTH) -> str:
    found = [inner for match in PIECE.finditer(text) if (inner := plain_of(match[0]))]
    found += [match[0].replace(" ", "") for match in SPACED.finditer(text)]
    return "\n".join([text, *(_decoded(_unescaped(each), depth - 1) if depth else each for each in found)])


def plain_of(piece: str) -> str:
    """Return the text that a piece of base64 or hexadecimal digits encodes; "" when it encodes none."""
    digits = re.sub(r"\\x|^0x|[ :]", "", piece)
    if HEXADECIMAL.fullmatch(digits):
        return _readable(bytes.fromhex(digits))
    # Ordinary words have neither digits nor capitals within; base64 of a text has.
    if re.search(r"[A-Z0-9]", digits[1:]) is None:
        return ""
    bare = digits.rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        return _readable(base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True))
    except binascii.Error:
        return ""


def _readable(octets: bytes) -> str:
    encoding = "utf-16-le" if octets[1::2].count(0) * 2 == len(octets) else "utf-8"
    try:
        text = octets.decode(encoding)
    except UnicodeDecodeError:
        return ""
    return text if len(text) >= LEAST and text.replace("\n", " ").replace("\t", " ").isprintable() else ""


def binary(texts: pl.Series) -> pl.Series:
    """Return bytea, which PostgreSQL writes as hexadecimal digits, as texts; what is no text is left out."""
    return pl.Series([None if text is None else _of_bytes(text) for text in texts.to_list()], dtype=pl.String)


def _of_bytes(text: str) -> str:
    octets = bytes.fromhex(text.removeprefix("\\x"))
    octets = octets.replace(b"\x00", b"")  # of UTF-16 the Latin letters are left
    return re.sub(r"[^\S\n]+|\x00|�", " ", octets.decode("utf-8", "replace"))


def lexemes(texts: pl.Series) -> pl.Series:
    """Return values of tsvector as the words of their texts, in the order of the text."""
    return pl.Series([None if text is None else _of_lexemes(text) for text in texts], dtype=pl.String)


def _of_lexemes(text: str) -> str:
    listed = [(int(place or 0), word.replace("''", "'")) for word, place in LEXEME.findall(text)]
    return " ".join(word for _, word in sorted(listed))


def with_addresses(texts: pl.Series) -> pl.Series:
    """Return texts in which "at" and "dot" of spelled-out e-mail addresses are signs."""
    return where(texts, SAYS_AT, lambda own: own.str.replace_all(AT, "@").str.replace_all(DOT, "."))


def where(texts: pl.Series, pattern: str, change: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """Change those texts alone that have a pattern."""
    rows = texts.str.contains(pattern).fill_null(value=False).arg_true()
    return texts.clone().scatter(rows, change(texts.gather(rows))) if len(rows) else texts
