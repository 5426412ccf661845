"""How many hidden people the audit finds and `redact` removes, beside other tools on the same texts.

The corpus is that of tests/hidden_people.py. Another tool has found somebody in a text when it finds anything
there at all, so that the comparison is in its favour.
"""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import psycopg
from bench_obscure import Server, tell
from hidden_people import WAYS, Person, nobody, people, shown_in
from peers import NotRun, Peers
from postgres import server

from labkit.testdata import Policy, audit, obscure

PEOPLE, TEXTS = 64, 2000
COLUMNS = [f"way_{number}" for number in range(len(WAYS))]
POLICY = """
[customers]
id = "keep"
first_name = {{fake = "first_name", by = "email"}}
last_name = {{fake = "last_name", by = "email"}}
email = {{fake = "email"}}
phone = {{fake = "phone_number"}}
ssn = {{format_preserving = "###-##-####"}}
[stories]
id = "keep"
{stories}
[plain]
id = "keep"
words = "{rule}"
"""
TABLES = f"""
CREATE TABLE customers (
    id int PRIMARY KEY, first_name text, last_name text, email text NOT NULL, phone text, ssn text
);
CREATE TABLE stories (id int PRIMARY KEY, {", ".join(f"{column} text" for column in COLUMNS)});
CREATE TABLE plain (id int PRIMARY KEY, words text);
"""
PEERS = ("scrubadub", "presidio")


def planted(url: str, everybody: Sequence[Person]) -> None:
    """Fill a database with the corpus."""
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(TABLES)
        rows = [(n, who.first, who.family, who.email, who.phone, who.ssn) for n, who in enumerate(everybody)]
        cursor.executemany("INSERT INTO customers VALUES (%s, %s, %s, %s, %s, %s)", rows)
        places = ", ".join(["%s"] * (1 + len(WAYS)))
        stories = [(n, *(way(who) for way in WAYS.values())) for n, who in enumerate(everybody)]
        cursor.executemany(f"INSERT INTO stories VALUES ({places})", stories)  # noqa: S608 - placeholders
        cursor.executemany("INSERT INTO plain VALUES (%s, %s)", list(enumerate(nobody(TEXTS))))


def policy(rule: str) -> Policy:
    """Return a policy that keeps or redacts all texts."""
    return Policy.load(POLICY.format(rule=rule, stories="\n".join(f'{name} = "{rule}"' for name in COLUMNS)))


def found(source: str, target: str) -> None:
    """Print the recall and the false alarms of the audit of a database whose texts were kept."""
    obscure(source, target, policy("keep"))
    report = audit(source, target, policy("keep"))
    by_way = {
        way: report.free_text[f"stories.{column}"].leaking / PEOPLE
        for way, column in zip(WAYS, COLUMNS, strict=True)
    }
    least = {way: round(share, 3) for way, share in by_way.items() if share < 1}
    tell(
        "recall of the audit",
        sum(by_way.values()) / len(WAYS),
        "share",
        ">= 0.95",
        ways=len(WAYS),
        below=least,
    )
    alarms = report.free_text["plain.words"].leaking / TEXTS
    tell("false alarms of the audit", alarms, "share", "<= 0.01", texts=TEXTS)


def removed(source: str, target: str, everybody: Sequence[Person]) -> None:
    """Print how often `redact` leaves nothing of a person."""
    obscure(source, target, policy("redact"))
    with psycopg.connect(target) as connection:
        rows = connection.execute("SELECT * FROM stories ORDER BY id").fetchall()
        plain = connection.execute("SELECT words FROM plain ORDER BY id").fetchall()
    left: dict[str, int] = {}
    for who, (_, *texts) in zip(everybody, rows, strict=True):
        for way, text in zip(WAYS, texts, strict=True):
            left[way] = left.get(way, 0) + shown_in(text, WAYS[way](who), who)
    total = 1 - sum(left.values()) / PEOPLE / len(WAYS)
    tell("recall of redact", total, "share", ">= 0.95", left={way: n for way, n in left.items() if n})
    changed = sum("[removed]" in words for (words,) in plain)
    tell("texts that name nobody and are redacted", changed / TEXTS, "share", None, why="numbers")


def others(folder: Path, everybody: Sequence[Person]) -> None:
    """Print the recall and the false alarms of other tools."""
    peers, texts = Peers(folder), [way(who) for way in WAYS.values() for who in everybody]
    plain = list(nobody(TEXTS))
    for peer in PEERS:
        try:
            after: Mapping[str, list[bool]] = peers.finds(peer, {"hidden": texts, "plain": plain})
        except NotRun as reason:
            print(f'{{"figure": "recall of {peer}", "value": null, "not run": "{reason}"}}')
            continue
        tell(f"recall of {peer}", sum(after["hidden"]) / len(texts), "share", None)
        tell(f"false alarms of {peer}", sum(after["plain"]) / TEXTS, "share", None)


if __name__ == "__main__":
    hidden = people(PEOPLE)
    with server() as address, tempfile.TemporaryDirectory() as scratch:
        bench = Server(address)
        with bench.database() as production, bench.database() as kept, bench.database() as redacted:
            planted(production, hidden)
            found(production, kept)
            removed(production, redacted, hidden)
        others(Path(scratch), hidden)
