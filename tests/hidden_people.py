"""A planted corpus: people, many ways in which they hide in texts, and texts that name nobody.

Everything follows from numbers, so that each run meets the same corpus.
"""

import base64
import itertools
import json
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

FIRST = (
    "Zebulon", "Hildegard", "Torvald", "Ysolde", "Rose", "Jean-Luc", "Anneliese", "Ignatius", "Søren", "Mark",
    "Xanthippe", "José", "Björn", "Ottilie", "Quentin", "Łucja",
)  # fmt: skip
FAMILY = (
    "Quackenbush", "Ångström", "Przybylski", "Baker", "van der Zwaag", "Mondragón", "Müllenhoff", "Young",
    "Featherstonehaugh", "MacAllister", "Okonkwo", "Villanueva", "Grün", "Lindqvist",
    "O'Shaughnessy", "Ostrander",
)  # fmt: skip
"""Three of these are ordinary words: alone they name nobody without a title."""


@dataclass(frozen=True)
class Person:
    """Somebody who does not exist."""

    first: str
    family: str
    email: str
    phone: str
    ssn: str

    @property
    def name(self) -> str:
        """First and family name."""
        return f"{self.first} {self.family}"


def ascii_of(text: str) -> str:
    """Return a text as somebody types it who has only the 26 letters."""
    replaced = text.replace("ø", "o").replace("Ł", "L").replace("ł", "l")
    return unicodedata.normalize("NFKD", replaced).encode("ascii", "ignore").decode()


def people(count: int = 64) -> list[Person]:
    """Return so many people; a family name has at most count / 16 of them, at least one."""
    pairs = itertools.islice(
        ((FIRST[(row * 5 + place) % 16], FAMILY[place]) for row in range(16) for place in range(16)), count
    )
    return [
        Person(
            first,
            family,
            f"{ascii_of(first)}.{''.join(filter(str.isalpha, ascii_of(family)))}{n}@mail-real.org".lower(),
            f"+1 415 {200 + n * 7 % 800} {3000 + n * 13}",
            f"{120 + n % 600:03d}-{11 + n % 80}-{6000 + n * 3 % 4000:04d}",
        )
        for n, (first, family) in enumerate(pairs)
    ]


def wide(text: str) -> str:
    """Return a text in full-width letters."""
    return "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in text)


WAYS: dict[str, Callable[[Person], str]] = {
    "name": lambda who: f"{who.name} called again",
    "capitals": lambda who: f"spoke to {who.name.upper()}",
    "lower case": lambda who: f"ask {who.name.lower()} about it",
    "no accents": lambda who: f"deliver to {ascii_of(who.name)}",
    "decomposed accents": lambda who: unicodedata.normalize("NFD", f"{who.name} paid"),
    "last, first": lambda who: f"{who.family}, {who.first}: paid",
    "last first": lambda who: f"file {who.family} {who.first}",
    "initial": lambda who: f"{who.first[0]}. {who.family} wants it back",
    "last, initial": lambda who: f"{who.family}, {who.first[0]}. wants it back",
    "family": lambda who: f"ring at family {who.family} first",
    "title": lambda who: f"Mrs {who.family} was not there",
    "possessive": lambda who: f"{who.first} {who.family}'s order",
    "joined": lambda who: f"see {who.first}{who.family}",
    "joined lower case": lambda who: f"user {who.first}{who.family}".lower(),
    "file name": lambda who: f"scan_{who.first}_{who.family}.pdf",
    "file name turned round": lambda who: f"/in/{who.family}_{who.first}_2.jpg".replace(" ", "_"),
    "slug": lambda who: f"https://x.test/p/{who.first}-{who.family}".lower().replace(" ", "-"),
    "dotted": lambda who: f"{who.first}.{who.family}".lower(),
    "full width": lambda who: wide(f"{who.first} {who.family}"),
    "zero width": lambda who: f"{who.first[:2]}\u200b{who.first[2:]} {who.family[:3]}\u200d{who.family[3:]}",
    "letters apart": lambda who: " ".join(f"{who.first}{who.family}".replace(" ", "")),
    "base64": lambda who: f"id {base64.b64encode(who.name.encode()).decode()}",
    "base64 of JSON": lambda who: base64.urlsafe_b64encode(json.dumps({"n": who.name}).encode()).decode(),
    "hexadecimal": lambda who: f"hex {who.name.encode().hex()}",
    "percent": lambda who: f"/people?name={quote(who.name)}",
    "entity": lambda who: f"<b>{who.first}&nbsp;{who.family}</b>",
    "JSON": lambda who: json.dumps({"a": [{"b": {"name": who.name}}]}),
    "JSON key": lambda who: json.dumps({who.name: 1}),
    "JSON in JSON": lambda who: json.dumps({"raw": json.dumps({"n": who.first, "l": who.family})}),
    "XML": lambda who: f"<p><n>{who.first}</n><l>{who.family}</l></p>",
    "CSV": lambda who: f"7;{who.family};{who.first};open",
    "e-mail": lambda who: f"write to {who.email}.",
    "e-mail in capitals": lambda who: f"<{who.email.upper()}>",
    "mailto": lambda who: f"mailto:{who.email}?subject=hi",
    "spelled-out e-mail": lambda who: f"write {who.email.replace('@', ' at ').replace('.', ' dot ')}, please",
    "e-mail with at": lambda who: f"to {who.email.replace('@', ' [at] ')} at once",
    "full-width e-mail": lambda who: wide(who.email),
    "e-mail with a zero width": lambda who: who.email.replace("@", "\u200b@"),
    "e-mail in base64": lambda who: base64.b64encode(who.email.encode()).decode(),
    "e-mail in percent": lambda who: who.email.replace("@", "%40"),
    "e-mail backwards": lambda who: who.email[::-1],
    "telephone": lambda who: f"tel {who.phone.removeprefix('+1 ').replace(' ', '-')}",
    "telephone from abroad": lambda who: f"tel 001{who.phone.removeprefix('+1').replace(' ', '/')}",
    "telephone in digits": lambda who: f"ring {' '.join(who.phone.replace(' ', ''))}",
    "telephone in one": lambda who: f"customer 12 {who.phone.replace(' ', '')}",
    "SSN with dots": lambda who: f"no. {who.ssn.replace('-', '.')}",
    "SSN in one": lambda who: f"no. {who.ssn.replace('-', '')}",
}
"""How a person stands in a text, by the name of the way."""


def shown_in(text: str, planted: str, who: Person) -> bool:
    """Return whether a text still shows somebody: as it was, or by a part of a name or number."""
    usual = ascii_of(unicodedata.normalize("NFKC", text).replace("\u200b", "").replace("\u200d", "")).lower()
    joined = "".join(filter(str.isalnum, usual))
    parts = (who.first, who.family, who.phone[3:], who.ssn, who.email)
    plain = ("".join(filter(str.isalnum, ascii_of(part).lower())) for part in parts)
    return text == planted or any(part in joined for part in plain)


SUBJECTS = (
    "The baker", "A young man", "Nobody", "The carpenter of the green house", "Der Bäcker", "Die junge Frau",
    "Le boulanger", "El herrero", "The king of hearts", "Our new cook", "A long street", "The grey fox",
)  # fmt: skip
VERBS = (
    "came in May and asked for", "will mark", "may want", "bought a rose and", "kaufte im März",
    "sah das Grün und",
    "needs a short rest, then", "a cherché", "wants to price", "read a page about", "has a stone for",
    "painted",
)  # fmt: skip
OBJECTS = (
    "a black bag", "the white pills", "some snow", "three best sellers", "einen Apfel", "das kleine Zimmer",
    "un petit pain", "the church by the hill", "a mason jar", "rice and fish", "Young's modulus",
    "Baker Street",
    "grüne Tropfen", "cough syrup for winter", "order 4711-23", "the rich brown sauce", "a wolf in the wood",
)  # fmt: skip
ENDS = (
    "",
    ".",
    ", as on every Monday.",
    " – am Abend.",
    "! Grace period: 30 days.",
    " at 5 pm.",
    "; hope it helps",
)


def nobody(count: int = 2000) -> Iterator[str]:
    """Yield so many different texts that name nobody, of words some of which are also names."""
    parts = itertools.product(ENDS, SUBJECTS, VERBS, OBJECTS)
    every = [f"{subject} {verb} {what}{end}" for end, subject, verb, what in parts]
    yield from (every[n * 7919 % len(every)] for n in range(count))
