"""Other tools that obscure a PostgreSQL database, each from an environment of its own, and how to run them.

Each is used as its own documentation says, on the same five columns. What cannot be installed or run here is
reported as "not run", with the reason.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

PACKAGES = {
    "masker-db": ["masker-db[postgres]"],
    "pganonymize": ["pganonymize", "psycopg2-binary", "setuptools"],
    "pynonymizer": ["pynonymizer"],
    "pg_anon": ["pg_anon"],
    "format-preserving": ["ff3", "pyffx"],
    "scrubadub": ["scrubadub"],
    "presidio": ["presidio-analyzer"],
}
LONGEST_S = 900

MASKER = """
version: 1
tables:
  customers:
    action: copy
    columns:
      id: {transformer: keep}
      name: {transformer: fake, params: {provider: name}}
      email: {transformer: email}
      phone: {transformer: preserve_format}
      ssn: {transformer: preserve_format}
      address: {transformer: fake, params: {provider: address}}
      created: {transformer: keep}
      balance: {transformer: keep}
"""

PGANONYMIZE = """
tables:
  - customers:
      primary_key: id
      fields:
        - name: {provider: {name: fake.name}}
        - email: {provider: {name: fake.unique.email}}
        - phone: {provider: {name: fake.phone_number}}
        - ssn: {provider: {name: fake.ssn}}
        - address: {provider: {name: fake.address}}
"""

PYNONYMIZER = """
tables:
  customers:
    columns:
      name: name
      email: unique_email
      phone: phone_number
      ssn: ssn
      address: address
"""

PG_ANON = {
    "dictionary": [
        {
            "schema": "public",
            "table": "customers",
            "fields": {
                "name": "anon_funcs.digest(\"name\", 'salt', 'sha256')",
                "email": "md5(\"email\") || '@example.com'",
                "phone": "anon_funcs.random_phone('+1')",
                "ssn": "anon_funcs.partial(\"ssn\", 0, 'XXX-XX-', 4)",
                "address": "anon_funcs.digest(\"address\", 'salt', 'sha256')",
            },
        }
    ]
}

FORMAT_PRESERVING = """
import json, sys, time
from ff3 import FF3Cipher
import pyffx
key = "2B7E151628AED2A6ABF7158809CF4F3C"
ff3, ffx = FF3Cipher(key, "D8E7920AFA330A"), pyffx.Integer(bytes.fromhex(key), length=9)
rates = {}
for name, one in (("ff3", lambda i: ff3.encrypt(f"{i:09d}")), ("pyffx", ffx.encrypt)):
    started = time.process_time()
    for number in range(5000):
        one(number)
    rates[name] = 5000 / (time.process_time() - started)
print(json.dumps(rates))
"""

SCRUBADUB = """
import json, sys
import scrubadub
scrubber = scrubadub.Scrubber()
texts = json.load(sys.stdin)
print(json.dumps({name: [scrubber.clean(text) != text for text in own] for name, own in texts.items()}))
"""

# Without a model of names, which is no package: its patterns for e-mail addresses, numbers and so on.
PRESIDIO = """
import json, sys
import spacy
from presidio_analyzer import AnalyzerEngine
from presidio_analyzer.nlp_engine import SpacyNlpEngine
class Blank(SpacyNlpEngine):
    def __init__(self):
        super().__init__(models=[{"lang_code": "en", "model_name": "blank"}])
        self.nlp = {"en": spacy.blank("en")}
engine = AnalyzerEngine(nlp_engine=Blank(), supported_languages=["en"])
texts = json.load(sys.stdin)
found = {n: [bool(engine.analyze(text, language="en")) for text in own] for n, own in texts.items()}
print(json.dumps(found))
"""


class NotRun(Exception):
    """A peer could not be installed or run here; the text says why."""


class Peers:
    """The peers' environments, made in a folder when they are first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def seconds(self, peer: str, source: str, target: str) -> float:
        """Return the wall seconds in which a peer obscures source into target, or in place when it has to.

        :raises NotRun: when it cannot.
        """
        runs: Mapping[str, Callable[[Path, str, str], float]] = {
            "masker-db": self._masker,
            "pganonymize": self._pganonymize,
            "pynonymizer": self._pynonymizer,
            "pg_anon": self._pg_anon,
        }
        return runs[peer](self._installed(peer), source, target)

    def values_per_second(self) -> dict[str, float]:
        """Return how many numbers of nine digits ff3 and pyffx encrypt in a second of CPU.

        :raises NotRun: when they cannot.
        """
        python = self._installed("format-preserving") / "python"
        rates: dict[str, float] = json.loads(run([python, "-c", FORMAT_PRESERVING]))
        return rates

    def finds(self, peer: str, texts: Mapping[str, list[str]]) -> dict[str, list[bool]]:
        """Return for each text whether scrubadub or presidio finds anything in it.

        :raises NotRun: when it cannot.
        """
        python, script = (
            self._installed(peer) / "python",
            {"scrubadub": SCRUBADUB, "presidio": PRESIDIO}[peer],
        )
        found: dict[str, list[bool]] = json.loads(run([python, "-c", script], given=json.dumps(texts)))
        return found

    def _installed(self, peer: str) -> Path:
        place = self._folder / peer
        if not place.exists():
            uv = Path(sys.executable).parent / "uv"
            run([uv, "venv", "--quiet", "--python", sys.executable, place])
            run([uv, "pip", "install", "--quiet", "--python", place / "bin" / "python", *PACKAGES[peer]])
        return place / "bin"

    def _written(self, name: str, text: str) -> Path:
        path = self._folder / name
        path.write_text(text)
        return path

    def _masker(self, programs: Path, source: str, target: str) -> float:
        rules = self._written("masker.yaml", MASKER)
        urls = [url.replace("postgresql://", "postgresql+psycopg://") for url in (source, target)]
        command = ["run", "--source", urls[0], "--target", urls[1], "--rules", rules]
        return timed([programs / "masker", "--ephemeral-key", *command], self._folder)

    def _pganonymize(self, programs: Path, source: str, _: str) -> float:
        rules, where = self._written("pganonymize.yaml", PGANONYMIZE), conninfo_to_dict(source)
        command = ["--schema", rules, "--dbname", where["dbname"], "--user", where["user"]]
        command += ["--host", where["host"], "--port", where["port"]]
        return timed([programs / "pganonymize", *command], self._folder)

    def _pynonymizer(self, programs: Path, source: str, _: str) -> float:
        needs("psql", "pg_dump")
        rules, where = self._written("pynonymizer.yml", PYNONYMIZER), conninfo_to_dict(source)
        command = ["-t", "postgres", "-s", rules, "-n", where["dbname"], "-u", where["user"], "-p", "none"]
        command += ["-d", where["host"], "-P", where["port"], "--only-step", "ANONYMIZE_DB"]
        return timed([programs / "pynonymizer", *command], self._folder)

    def _pg_anon(self, programs: Path, source: str, target: str) -> float:
        needs("pg_dump", "pg_restore")
        rules, out = self._written("pg_anon.py", str(PG_ANON)), self._folder / "pg_anon_dump"

        def step(verb: str, url: str, *more: object) -> float:
            where = conninfo_to_dict(url)
            place = [f"--db-{name}={where[name]}" for name in ("host", "port")]
            place += [f"--db-name={where['dbname']}", f"--db-user={where['user']}", "--db-user-password=none"]
            return timed([programs / "pg_anon", verb, *place, *more], self._folder)

        step("init", source)
        dumped = step("dump", source, f"--prepared-sens-dict-file={rules}", f"--output-dir={out}")
        return dumped + step("restore", target, f"--input-dir={out}")


def needs(*programs: str) -> None:
    """Raise NotRun when a program is not on PATH."""
    if missing := [name for name in programs if not shutil.which(name)]:
        raise NotRun(f"{', '.join(missing)} is not on PATH")


def timed(command: list[object], folder: Path) -> float:
    """Return the wall seconds of a command that ends well."""
    started = time.monotonic()
    run(command, folder)
    return time.monotonic() - started


def run(command: list[object], folder: Path | None = None, *, given: str | None = None) -> str:
    """Run a command to its end, with what is given as its input, and return its output.

    :raises NotRun: when it fails or takes too long.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            input=given,
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            cwd=folder,
            env=os.environ,
            check=False,
        )
    except subprocess.TimeoutExpired as problem:
        raise NotRun(f"{Path(words[0]).name} took over {LONGEST_S} s") from problem
    if done.returncode:
        raise NotRun(f"{Path(words[0]).name}: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout
