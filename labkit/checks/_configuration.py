"""How like production an environment is: every difference is declared with a reason, or it is a finding."""

import time
from collections.abc import Mapping

from labkit.checks._report import Finding, Outcome, Report, version_of
from labkit.system import System

CHECK = "configuration"


def settings(system: System, stage: str) -> dict[str, str]:
    """Return what a stage's environment is given: parameters, instances, external services, database.

    Names have the form "DISCOUNT_PERCENT", "instances.cart", "external.payments" and "database".
    """
    told = dict(system.configuration(stage))
    told |= {
        f"instances.{service.name}": str(service.instances[stage]) for service in system.services.values()
    }
    told |= {f"external.{it.name}": "real" if stage in it.real else "stub" for it in system.external.values()}
    if system.database is not None:
        told["database"] = (
            "production's own" if stage == "production" else "a test database with its own password"
        )
    return told


def configuration(
    here: Mapping[str, str],
    production: Mapping[str, str],
    exceptions: Mapping[str, str],
    *,
    name: str = "here",
) -> Report:
    """Hold the settings of an environment against production's.

    here and production map a setting's name to its value. exceptions maps the names that may differ to the
    reason. The answer is pass when nothing differs, accepted when all that differs is declared (each with
    its reason as a finding of severity "note"), fail when anything else differs. An exception that does not
    differ is a "warning".
    """
    started = time.monotonic()
    differing = sorted(key for key in {*here, *production} if here.get(key) != production.get(key))
    findings = [_finding(key, here, production, exceptions, name) for key in differing]
    findings += [
        Finding("needless exception", f"{key} is declared to differ and does not", "warning")
        for key in sorted(exceptions)
        if key not in differing
    ]
    accepted = Outcome.ACCEPTED if differing else Outcome.PASS
    return Report(
        check=CHECK,
        outcome=Outcome.FAIL if any(found.severity == "error" for found in findings) else accepted,
        findings=sorted(findings, key=lambda found: ["error", "warning", "note"].index(found.severity)),
        tool="labkit",
        tool_version=version_of("pipeline-labkit"),
        seconds=time.monotonic() - started,
        evidence={"compared": len({*here, *production}), "differing": differing},
    )


def _finding(
    key: str, here: Mapping[str, str], production: Mapping[str, str], exceptions: Mapping[str, str], name: str
) -> Finding:
    difference = (
        f"{key} is {here.get(key, 'absent')} in {name} and {production.get(key, 'absent')} in production"
    )
    if key in exceptions:
        return Finding("declared exception", f"{difference}: {exceptions[key]}", "note")
    return Finding("undeclared difference", difference)
