"""Records a test database and its audit in the artifact database."""

import importlib.metadata

from labkit.artifacts import ArtifactDatabase, Fact, Kind, Reference, Subject
from labkit.testdata._copy import connected
from labkit.testdata._obscure import Obscured
from labkit.testdata._report import Audit


def record(artifacts: ArtifactDatabase, target: str, report: Audit, made: Obscured | None = None) -> Fact:
    """Append a fact about a test database and return it: the digest of its state, the policy, the report.

    target is its libpq URL. made is what `obscure` returned, with the fingerprint of the key; None when the
    database was made in another way. Neither the key nor a value of the data is written.

    :raises LabError: when the database cannot be reached.
    """
    from labkit.postgres import fingerprint  # noqa: PLC0415 - brings the container engine's libraries

    with connected(target) as connection:
        subject = Subject(f"test-database/{connection.info.dbname}", fingerprint(connection))
    tools = ("pipeline-labkit", "faker") if made else ("pipeline-labkit",)
    references = [Reference("tool", f"pkg:pypi/{name}@{importlib.metadata.version(name)}") for name in tools]
    if report.policy_digest:
        references.append(Reference("config", "policy", report.policy_digest))
    obscured = made.to_json() if made else None
    return artifacts.record(
        Kind.TEST_DATA_AUDITED, subject, references=references, audit=report.to_json(), obscured=obscured
    )
