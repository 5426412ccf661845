"""Locust users for the tests of load, in a file that plain locust runs too."""

from locust import FastHttpUser, HttpUser, SequentialTaskSet, constant, task

from labkit import load


class Shopper(HttpUser):
    """Looks at two pages and tells how it was."""

    wait_time = constant(0.05)

    @task
    def look(self) -> None:
        """Ask for one page of each version."""
        self.client.get("/v1")
        self.client.post("/v2", json={"sku": "aspirin"}, name="/buy")
        load.outcome(self, "happy")


class Hasty(FastHttpUser):
    """The same by locust's fast client, with an answer that is a failure."""

    wait_time = constant(0.05)

    @task
    class Steps(SequentialTaskSet):
        """Three steps in their order."""

        @task
        def first(self) -> None:
            """Ask for a page."""
            self.client.get("/v1")

        @task
        def second(self) -> None:
            """Meet another version."""
            self.client.get("/v2")

        @task
        def third(self) -> None:
            """Fail."""
            self.client.get("/status/503")
            load.outcome(self, "refused")
