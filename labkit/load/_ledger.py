"""The child's books: every answer is entered once; the feed takes what was added since the last time."""

from collections import Counter, deque
from dataclasses import asdict
from time import time
from typing import Any

from labkit.load._histogram import bucket
from labkit.load._measurement import Failure, Key, Recent

_EXAMPLES = 3  # of each cause
RECENT = 200


class _Page:
    """Counts of one key since the feed last took them."""

    __slots__ = ("failed", "latency", "requests")

    def __init__(self) -> None:
        self.requests = self.failed = 0
        self.latency: dict[int, int] = {}


class Ledger:
    """Counts of answers by `Key`, of lateness, of causes of failure and of how sessions ended."""

    def __init__(self) -> None:
        self.sent = 0
        self._pages: dict[Key, _Page] = {}
        self._late: dict[int, int] = {}
        self._errors: Counter[str] = Counter()
        self._causes: Counter[str] = Counter()
        self._examples: list[Failure] = []
        self._outcomes: Counter[str] = Counter()
        self._last_failure: float | None = None
        self._recent: deque[Recent] = deque(maxlen=RECENT)

    def leave(self, late_s: float) -> None:
        """Enter that a request left, this long after its planned time."""
        self.sent += 1
        edge = bucket(int(late_s * 1e6))
        self._late[edge] = self._late.get(edge, 0) + 1

    def answer(self, key: Key, latency_ms: float, failure: Failure | None, *, mixed: bool = False) -> None:
        """Enter an answer or a failure; mixed is as in Recent."""
        page = self._pages.get(key)
        if page is None:
            page = self._pages[key] = _Page()
        page.requests += 1
        self._recent.append(Recent(key.version, failure is not None, mixed))
        edge = bucket(int(latency_ms * 1e3))
        page.latency[edge] = page.latency.get(edge, 0) + 1
        if failure:
            page.failed += 1
            self._last_failure = time()
            self._errors[failure.cause] += 1
            self._causes[failure.cause] += 1
            if self._causes[failure.cause] <= _EXAMPLES:
                self._examples.append(failure)

    def end(self, outcome: str) -> None:
        """Enter how a session ended."""
        self._outcomes[outcome] += 1

    def take(self) -> dict[str, Any]:
        """Return what was entered since the last call, as plain data."""
        pages, self._pages = self._pages, {}
        late, self._late = self._late, {}
        errors, self._errors = self._errors, Counter()
        examples, self._examples = self._examples, []
        outcomes, self._outcomes = self._outcomes, Counter()
        return {
            "sent": self.sent,
            "cells": [
                [*key, page.requests, page.failed, [*page.latency.items()]] for key, page in pages.items()
            ],
            "late": [*late.items()],
            "errors": errors,
            "outcomes": outcomes,
            "last_failure": self._last_failure,
            "recent": list(self._recent),
            "examples": [asdict(failure) for failure in examples],
        }
