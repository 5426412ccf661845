"""The two tables of the artifact database."""

from typing import Any

from sqlalchemy import Column, ForeignKey, Index, Integer, MetaData, String, Table, Text

from labkit.artifacts._fact import Fact

metadata = MetaData()

fact_table = Table(
    "fact",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    # What is signed, and what holds it in its place. All that is known of a fact is in its payload.
    Column("payload", Text, nullable=False),
    Column("signature", String, nullable=False),
    Column("hash", String, nullable=False),
    # Copies out of the payload, to search by. `verify` holds them against the payload.
    Column("at", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("name", String, nullable=False),
    Column("digest", String, nullable=False),
    Column("stage", String),
    Column("service", String),
    Column("environment", String),
    Column("run", String),
    Column("by", String, nullable=False),
    Index("fact_digest", "digest", "id"),
    Index("fact_run", "run", "id"),
    Index("fact_environment", "environment", "kind", "id"),
    Index("fact_deployment", "kind", "stage", "service", "id"),
)

reference_table = Table(
    "reference",
    metadata,
    Column("fact", ForeignKey("fact.id"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("role", String, nullable=False),
    Column("uri", String, nullable=False),
    Column("digest", String, nullable=False),
    Index("reference_uri", "uri", "fact"),
)


def columns(fact: Fact) -> dict[str, Any]:
    """Return the searchable copies of a fact, by column."""
    return {
        "id": fact.id,
        "at": fact.at.isoformat(),
        "kind": fact.kind.value,
        "name": fact.subject.name,
        "digest": fact.subject.digest,
        "stage": fact.stage,
        "service": fact.service,
        "environment": fact.environment,
        "run": fact.run,
        "by": fact.by,
    }


def reference_rows(fact: Fact) -> list[dict[str, Any]]:
    """Return a fact's references as rows."""
    return [
        {"fact": fact.id, "position": n, **reference.to_json()} for n, reference in enumerate(fact.references)
    ]
