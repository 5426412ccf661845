"""One running copy of a service."""

from collections.abc import Callable
from functools import partial

from labkit.balancer import CHECKED, Balancer
from labkit.containers import Answers, Element, Namespace
from labkit.engine import SERVER, Label
from labkit.environment._plan import Plan
from labkit.errors import LabError

READY_S = 30.0
"""How long an instance may take to be ready, in seconds."""

WAITING = "waiting"
"""The state of an instance that runs and is not registered at the balancer."""


class Instance(Element):
    """One running copy of a service, behind the balancer.

    name is also its name in the network. ready is the path of its health check. settings stands for all that
    it was started with beside its image; is_current says whether new instances get the same now. state is the
    balancer's word (UP, DOWN, DRAIN, MAINT), "waiting" while the balancer does not know it, or the engine's
    word (paused, exited …) when it does not run.
    """

    role = "service"

    def __init__(
        self,
        namespace: Namespace,
        plan: Plan,
        service: str,
        name: str,
        image: str,
        version: str,
        balancer: Callable[[], Balancer],
    ) -> None:
        """Describe an instance; balancer returns the load balancer, and may wait until that has started."""
        planned = plan.service(service)
        super().__init__(namespace, name, image)
        self._variables = partial(plan.variables_of, planned, name, version, namespace.secret)
        self.service, self.version, self.balancer = service, version, balancer
        self.balancer_state = ""
        self.limits, self.grace_s = planned.limits.over(SERVER), planned.grace_s
        self.ready, self._port = planned.ready, planned.port
        self.settings = plan.settings(planned)
        self.is_current = True
        self._outside = plan.outside(namespace.workspace) if plan.calls_real(planned) else ""

    @property
    def address(self) -> str:
        """Where it listens in the environment's network, as ip:port; "" while it is off the network."""
        return f"{self.ip}:{self._port}" if self.ip else ""

    @property
    def state(self) -> str:
        """The balancer's word, "waiting", or the engine's word when it does not run.

        "running" means that the balancer was not asked, as by Environment.element, or did not answer.
        """
        runs = self.info is not None and self.info.state == "running"
        return self.balancer_state or "running" if runs else self.engine_state

    def _configure(self) -> None:
        self.with_envs(**self._variables())  # only now, because who lists instances needs no password

    def _labels(self) -> dict[str, str]:
        return super()._labels() | {Label.SETTINGS: self.settings}

    def _before_start(self) -> None:
        if self._outside:  # it calls an external service that is real here
            self._api.connect_container_to_network(
                self.get_container_id(), self._outside, aliases=[self.name]
            )

    def await_health_check(self, within_s: float, backend: str = "") -> None:
        """Register it at the balancer and wait until its health check has passed; it gets no requests yet.

        backend "" is its service's own. CHECKED is the one for health checks alone: it is forgotten there
        afterwards. A process that ends meanwhile is started again.

        :raises NotReady: when it is not ready within within_s seconds.
        """
        balancer, known = self.balancer(), ""

        def healthy(_: object) -> bool:
            nonlocal known
            if self.name not in balancer.servers(self.service + backend):  # or it was restarted
                known = ""
            if self.address not in {"", known}:  # "": it ended before the engine told its address
                (balancer.move if known else balancer.register)(self, backend)
                known = self.address
            return balancer.is_healthy(self, backend)

        try:
            healthy(self)  # before the wait, which would wait for a balancer that does not answer too
            Answers(
                f"answers GET {self.ready} with 200",
                healthy,
                within_s,
                lambda _: balancer.last_check(self, backend),
            ).wait_until_ready(self)
        finally:
            if backend == CHECKED:
                balancer.forget(self, backend)

    def slow(self, ms: int) -> None:
        """Delay each of its answers by ms milliseconds, but no health check; 0 ends that.

        The balancer does it, through which every request goes. No client can tell whether the network or the
        instance is slow.

        :raises LabError: when ms is negative.
        """
        if ms < 0:
            raise LabError("milliseconds from 0 on", str(ms), "slow(300) delays answers, slow(0) ends that")
        self._do("slow", lambda: self.balancer().slow(self, ms), ms=ms)

    def fail(self, share: float) -> None:
        """Turn this share (0 to 1) of its answers into errors 500, but no health check; 0 ends that.

        The balancer does it, as with slow.

        :raises LabError: when share is not between 0 and 1.
        """
        if not 0 <= share <= 1:
            raise LabError("a share from 0 to 1", str(share), "fail(0.1) for a tenth, fail(0) ends that")
        self._do("fail", lambda: self.balancer().fail(self, share), share=share)

    def _restart(self) -> None:
        """Take it out of the balancer meanwhile: until it is ready again it gets no requests."""
        self.balancer().forget(self)
        super()._restart()
        self.await_health_check(READY_S)
        self.balancer().enable(self)

    def _come_back(self) -> None:
        """Be found at its new address by the balancer too, if it is registered there."""
        super()._come_back()
        if self.name in self.balancer().servers(self.service):
            self.balancer().move(self)
