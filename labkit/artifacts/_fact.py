"""A fact, in memory and as the in-toto statement that is signed (https://in-toto.io/Statement/v1)."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, Self

from labkit.errors import LabError

STATEMENT = "https://in-toto.io/Statement/v1"

ROLES = ("code", "dependency", "test", "tool", "config", "base", "image", "environment")

HIDDEN = "***"
SECRET = re.compile(
    r"PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|CREDENTIAL|APIKEY|(^|_)(KEY|PASS|PWD|PIN|SALT)S?(_|$)"
)
URL_PASSWORD = re.compile(r"(\w://[^/@\s:]*:)[^/\s]+@")


class Kind(StrEnum):
    """What a fact says: its predicate type, by the names of CDEvents, SLSA, CycloneDX and in-toto."""

    ENVIRONMENT_CREATED = "dev.cdevents.environment.created"
    ENVIRONMENT_USED = "dev.cdevents.environment.modified"
    ENVIRONMENT_DELETED = "dev.cdevents.environment.deleted"
    SERVICE_DEPLOYED = "dev.cdevents.service.deployed"
    SERVICE_UPGRADED = "dev.cdevents.service.upgraded"
    SERVICE_REMOVED = "dev.cdevents.service.removed"
    RUN_STARTED = "dev.cdevents.pipelinerun.started"
    RUN_FINISHED = "dev.cdevents.pipelinerun.finished"
    STAGE_STARTED = "dev.cdevents.taskrun.started"
    STAGE_FINISHED = "dev.cdevents.taskrun.finished"
    BUILT = "https://slsa.dev/provenance/v1"
    BILL_OF_MATERIALS = "https://cyclonedx.org/bom"
    TESTED = "https://in-toto.io/attestation/test-result/v0.1"
    TEST_DATA_AUDITED = "https://labkit.dev/test-data-audited/v1"
    APPROVED = "https://labkit.dev/approved/v1"
    PREDICTED = "https://labkit.dev/predicted/v1"
    MEASURED = "https://labkit.dev/measured/v1"
    CHECKED = "https://labkit.dev/checked/v1"
    REFLECTED = "https://labkit.dev/reflected/v1"

    @classmethod
    def of(cls, name: str) -> Self:
        """Return the kind of this name.

        :raises LabError: when there is none; it lists all kinds.
        """
        try:
            return cls(name)
        except ValueError:
            known = ", ".join(kind.name for kind in cls)
            raise LabError(
                f"a kind of fact: {known}", repr(name), "take one of labkit.artifacts.Kind"
            ) from None


@dataclass(frozen=True)
class Subject:
    """What a fact is about.

    digest is `algorithm:value`. A bare value is taken as a SHA-256. "" says that the thing has no digest.
    """

    name: str
    digest: str

    def __post_init__(self) -> None:
        """Write the digest in its one form, so that a join finds equal things."""
        object.__setattr__(self, "digest", _one_form(self.digest))

    def to_json(self) -> dict[str, str]:
        """Return the subject as JSON data."""
        return {"name": self.name, "digest": self.digest}


@dataclass(frozen=True)
class Reference:
    """One thing that went into a subject.

    role is one of ROLES. uri names the thing, best as a package URL (pkg:pypi/starlette@1.0.0). digest is as
    in Subject, "" when it is not known.

    :raises LabError: when the role is not one of ROLES.
    """

    role: str
    uri: str
    digest: str = ""

    def __post_init__(self) -> None:
        """Refuse an unknown role and write the digest in its one form."""
        if self.role not in ROLES:
            raise LabError(f"a role: {', '.join(ROLES)}", repr(self.role), f"correct the role of {self.uri}")
        object.__setattr__(self, "digest", _one_form(self.digest))

    @classmethod
    def configuration(cls, values: Mapping[str, str]) -> "list[Reference]":
        """Return a reference of role config for each parameter, by name, with its value and its digest.

        Of a secret it has neither: a fact stays for ever, and from a digest a password can be guessed.
        """
        texts = {name: shown(name, value) for name, value in sorted(values.items())}
        return [
            cls("config", f"{name}={text}", _sha256(text) if text == values[name] else "")
            for name, text in texts.items()
        ]

    def to_json(self) -> dict[str, str]:
        """Return the reference as JSON data."""
        return {"role": self.role, "uri": self.uri, "digest": self.digest}


@dataclass(frozen=True)
class Fact:
    """One thing that happened.

    id counts from 1 without gaps. at is in UTC. stage, service, environment and run are None where the fact
    belongs to none. by is the user. predicate is the JSON data that the kind asks for.
    """

    id: int
    at: datetime
    kind: Kind
    subject: Subject
    stage: str | None
    service: str | None
    environment: str | None
    run: str | None
    by: str
    references: tuple[Reference, ...]
    predicate: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return the fact as JSON data, its time as ISO 8601 in UTC."""
        return vars(self) | {
            "at": self.at.isoformat(),
            "subject": self.subject.to_json(),
            "references": [reference.to_json() for reference in self.references],
        }

    def payload(self) -> str:
        """Return the in-toto statement that is signed, as JSON text.

        An in-toto statement has no field for stage, service and the like. They stand in the field `labkit`,
        beside the predicate and not in it, so that a predicate stays the document that its type names.
        In-toto lets a statement carry more fields.

        :raises TypeError: when the predicate is no JSON data.
        """
        subject = {"name": self.subject.name, "digest": _digest_set(self.subject.digest)}
        statement = {
            "_type": STATEMENT,
            "subject": [subject],
            "predicateType": self.kind,
            "predicate": self.predicate,
            "labkit": {
                "id": self.id,
                "at": self.at.astimezone(UTC).isoformat(),
                "stage": self.stage,
                "service": self.service,
                "environment": self.environment,
                "run": self.run,
                "by": self.by,
                "references": [_descriptor(reference) for reference in self.references],
            },
        }
        text = json.dumps(statement, sort_keys=True, ensure_ascii=False, allow_nan=False)
        # Half a character, as in a file name of another encoding, becomes U+FFFD: UTF-8 cannot hold it.
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    @classmethod
    def read(cls, payload: str) -> Self:
        """Return the fact that a payload states: the reverse of `payload`.

        :raises LabError: when it states none.
        """
        try:
            statement = json.loads(payload)
            fields, subject = statement["labkit"], statement["subject"][0]
            return cls(
                id=fields["id"],
                at=datetime.fromisoformat(fields["at"]),
                kind=Kind.of(statement["predicateType"]),
                subject=Subject(subject["name"], _digest_text(subject["digest"])),
                stage=fields["stage"],
                service=fields["service"],
                environment=fields["environment"],
                run=fields["run"],
                by=fields["by"],
                references=tuple(_reference(descriptor) for descriptor in fields["references"]),
                predicate=statement["predicate"],
            )
        except (ValueError, TypeError, LookupError, AttributeError) as fault:
            raise LabError(
                "a fact as labkit wrote it",
                repr(payload[:60]),
                "run `labkit artifacts verify`: it names the first wrong row",
            ) from fault


def _descriptor(reference: Reference) -> dict[str, Any]:
    """Return a reference as in-toto's ResourceDescriptor."""
    digest = _digest_set(reference.digest)
    return {"annotations": {"role": reference.role}, "uri": reference.uri, "digest": digest}


def _reference(descriptor: Mapping[str, Any]) -> Reference:
    digest = _digest_text(descriptor["digest"])
    return Reference(descriptor["annotations"]["role"], descriptor["uri"], digest)


def shown(name: str, value: str) -> str:
    """Return a parameter's value as it may be shown and recorded: "***" in place of what is secret.

    A parameter is secret when its name says so (POSTGRES_PASSWORD, API_TOKEN, SIGNING_KEY). The password in a
    URL is secret under any name.
    """
    return HIDDEN if SECRET.search(name) else URL_PASSWORD.sub(rf"\1{HIDDEN}@", value)


def _sha256(text: str) -> str:
    return f"sha256:{sha256(text.encode()).hexdigest()}"


def _one_form(digest: str) -> str:
    return digest if ":" in digest or not digest else f"sha256:{digest}"


def _digest_set(digest: str) -> dict[str, str]:
    """Return a digest as in-toto writes it: {algorithm: value}."""
    algorithm, _, value = digest.partition(":")
    return {algorithm: value} if digest else {}


def _digest_text(digest_set: Mapping[str, str]) -> str:
    return next((f"{algorithm}:{value}" for algorithm, value in digest_set.items()), "")
