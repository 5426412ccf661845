"""What each element of an environment is, as a container: no engine is needed to read this."""

from collections.abc import Mapping

from labkit.coordination import PORT as COORDINATOR_PORT
from labkit.engine import BUILD, PYTHON, SERVERS
from labkit.environment import _coordinator, _haproxy, _stub
from labkit.environment._part import PLAN, Wanted
from labkit.environment._plan import DATABASE_PORT, Plan, PlannedExternal, PlannedService
from labkit.environment._run import STAY
from labkit.system import External

WRITE_AND_RUN = f"""\
printf "%s" "$CONFIGURATION" > /tmp/haproxy.cfg
printf "%s" "$SLOW" > {_haproxy.SLOW_LUA}
touch {" ".join(_haproxy.MAPS)}
exec haproxy -db -f /tmp/haproxy.cfg
"""


def balancer(plan: Plan) -> Wanted:
    """Return the load balancer, which answers to the name of every service."""
    return Wanted(
        name="balancer",
        role="balancer",
        image=SERVERS,
        command=["sh", "-c", WRITE_AND_RUN],
        variables={"CONFIGURATION": _haproxy.configuration(plan.services), "SLOW": _haproxy.SLOW},
        ports=[_haproxy.CONTROL_PORT, *(service.port for service in plan.services)],
        aliases=[name for it in plan.services for name in (it.name, it.name + _haproxy.CANARY)],
    )


def database() -> Wanted:
    """Return the database server."""
    return Wanted("database", "database", SERVERS, ["postgres"], ports=[DATABASE_PORT], user="postgres")


def coordinator() -> Wanted:
    """Return the coordinator."""
    return Wanted("coordinator", "coordinator", SERVERS, _coordinator.COMMAND, ports=[COORDINATOR_PORT])


def stubs(plan: Plan, external: Mapping[str, External]) -> Wanted:
    """Return the container of all stubs, which answers to the names of the external services."""
    return Wanted(
        name="stub",
        role="stub",
        image=PYTHON,
        command=_stub.COMMAND,
        variables={**_stub.environment(external[it.name] for it in plan.stubs), "LABKIT_STAGE": plan.stage},
        ports=[it.port for it in plan.stubs],
        aliases=[it.name for it in plan.stubs],
    )


def instance(
    plan: Plan, service: PlannedService, name: str, image: str, version: str, outside: str
) -> Wanted:
    """Return one instance of a service; one that calls what is real here joins the network outside too."""
    real = {it.name for it in plan.providers}
    return Wanted(
        name=name,
        role="service",
        image=image,
        variables=plan.variables_of(service, name, version),
        service=service.name,
        version=version,
        networks={outside: [name]} if real & set(service.calls) else {},
    )


def provider(plan: Plan, external: PlannedExternal, image: str) -> Wanted:
    """Return what stands for a real external service, in the network outside."""
    own = {
        "LABKIT_SERVICE": external.name,
        "LABKIT_INSTANCE": external.name,
        "LABKIT_PORT": str(external.port),
    }
    return Wanted(
        name=external.name,
        role="provider",
        image=image,
        variables={**own, "LABKIT_STAGE": plan.stage},
        service=external.name,
        ports=[external.port],
    )


def harness(plan: Plan) -> Wanted:
    """Return the container that commands run in: inside the network, beside the services."""
    return Wanted("harness", "harness", BUILD, STAY, plan.variables())


def module(plan: Plan) -> Wanted:
    """Return the container of the module under development: alone, without a network."""
    service = str(plan.module)
    path = "/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    variables = {
        **plan.variables(),
        "LABKIT_SERVICE": service,
        "LABKIT_INSTANCE": f"{service}-module",
        "PATH": path,
    }
    labels = {PLAN: plan.to_label()}
    return Wanted("module", "module", BUILD, STAY, variables, service=service, labels=labels)
