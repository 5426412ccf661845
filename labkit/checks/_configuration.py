"""How like production an environment is: every difference is declared with a reason, or it is a finding."""

from collections.abc import Mapping

from labkit.artifacts import shown
from labkit.checks._report import CheckOutcome, CheckRun, Finding, Report, version_of
from labkit.system import System


def settings(system: System, stage: str) -> dict[str, str]:
    """Return what a stage's environment is given: parameters, instances, external services, database.

    Names have the form "DISCOUNT_PERCENT", "instances.cart", "external.payments" and "database".
    """
    fields = dict(system.configuration(stage))
    fields |= {
        f"instances.{service.name}": str(service.instances[stage]) for service in system.services.values()
    }
    fields |= {
        f"external.{external.name}": "real" if stage in external.real else "stub"
        for external in system.external.values()
    }
    if system.database is not None:
        fields["database"] = "production's own" if stage == "production" else "a test database"
    return fields


def configuration(
    here: Mapping[str, str],
    production: Mapping[str, str],
    exceptions: Mapping[str, str],
    *,
    name: str = "here",
) -> Report:
    """Compare the settings of an environment with production's.

    here and production map a setting's name to its value. exceptions maps the names that may differ to the
    reason. The answer is pass when nothing differs, and accepted when every difference is declared (each is
    then a finding of severity "note" with its reason). It is fail when any other setting differs. An
    exception for a setting that does not differ is a "warning". name is what the findings call the
    environment. A secret value is compared and not shown.
    """
    check = CheckRun("configuration", tool="labkit")
    differing = sorted(key for key in {*here, *production} if here.get(key) != production.get(key))
    findings = [_finding(key, here, production, exceptions, name) for key in differing]
    findings += [
        Finding("needless exception", f"{key} is declared to differ and does not", "warning")
        for key in sorted(exceptions)
        if key not in differing
    ]
    return check.report(
        findings,
        otherwise=CheckOutcome.ACCEPTED if differing else CheckOutcome.PASS,
        tool_version=version_of("pipeline-labkit"),
        evidence={"compared": len({*here, *production}), "differing": differing},
    )


def _finding(
    key: str, here: Mapping[str, str], production: Mapping[str, str], exceptions: Mapping[str, str], name: str
) -> Finding:
    ours, theirs = (shown(key, fields[key]) if key in fields else "absent" for fields in (here, production))
    difference = f"{key} is {ours} in {name} and {theirs} in production"
    if key in exceptions:
        return Finding("declared exception", f"{difference}: {exceptions[key]}", "note")
    return Finding("undeclared difference", difference)
