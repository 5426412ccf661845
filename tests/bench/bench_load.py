"""What a request costs the generator, and how evenly it leaves, beside locust's FastHttpUser."""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import psutil  # type: ignore[import-untyped] # it ships no types

from labkit.load import Load, apply

RATE = 500  # as fast as one FastHttpUser surely goes
USERS = 4
WARM_S, WINDOW_S = 4, 6
ANSWER = b"HTTP/1.1 200 OK\r\nX-Labkit-Version: 1\r\nContent-Length: 2\r\n\r\nok"
USER = f"""
from locust import FastHttpUser, constant_throughput, task
class One(FastHttpUser):
    wait_time = constant_throughput({RATE})
    @task
    def ask(self):
        self.client.get("/")
"""


class Fast(asyncio.Protocol):
    """Answers at once and notes when requests came; /gaps tells how many and how uneven, and forgets them."""

    came: list[float] = []  # noqa: RUF012 - of the whole server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer one request."""
        if not data.startswith(b"GET /gaps"):
            self.came.append(time.perf_counter())
            self.transport.write(ANSWER)
            return
        errors = sorted(abs(later - earlier - 1 / RATE) * 1e3 for earlier, later in pairwise(self.came))
        body = json.dumps(
            [len(self.came), *(errors[int(len(errors) * share)] for share in (0.5, 0.99) if errors)]
        )
        self.came.clear()
        head = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        self.transport.write((head + body).encode())
        self.transport.close()


@contextmanager
def server() -> Iterator[str]:
    """Run the fast server in a child process."""
    process = subprocess.Popen([sys.executable, __file__, "serve"], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    process.kill()


async def serve() -> None:
    """Serve until killed."""
    listener = await asyncio.get_running_loop().create_server(Fast, "127.0.0.1", 0)
    print(listener.sockets[0].getsockname()[1], flush=True)
    await listener.serve_forever()


@contextmanager
def labkit(url: str, users: int) -> Iterator[int]:
    """Apply an even load of as many requests as these users send; yield the generator's process id."""
    with apply(Load({"/": 1}, RATE * users, None, arrivals="even"), url) as running:
        yield running._process.pid


@contextmanager
def fast_http_user(url: str, users: int) -> Iterator[int]:
    """Run locust with some FastHttpUsers; yield its process id."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "user.py").write_text(USER)
        command = [
            sys.executable,
            "-m",
            "locust",
            "-f",
            "user.py",
            "--headless",
            "-H",
            url,
            "-u",
            str(users),
            "-r",
            "9",
        ]
        process = subprocess.Popen([*command, "--only-summary"], cwd=folder, stderr=subprocess.DEVNULL)
        yield process.pid
        process.kill()
        process.wait()


def watched(pid: int, url: str) -> tuple[float, float, float]:
    """Return CPU µs a request, and p50 and p99 of the gap errors in ms, over a window in mid-run."""
    time.sleep(WARM_S)
    process = psutil.Process(pid)
    with urllib.request.urlopen(url + "/gaps"):  # noqa: S310 - the server above
        before = process.cpu_times()
    time.sleep(WINDOW_S)
    with urllib.request.urlopen(url + "/gaps") as answer:  # noqa: S310 - the server above
        after = process.cpu_times()
        count, p50_ms, p99_ms = json.load(answer)
    return (after.user + after.system - before.user - before.system) / count * 1e6, p50_ms, p99_ms


def main() -> None:
    """Print one JSON line a figure."""
    with server() as url:
        seen = []
        for generator in (labkit, fast_http_user):
            for users in (1, USERS):
                with generator(url, users) as pid:
                    seen.append(watched(pid, url))
        result = apply(Load({"/": 1}, RATE, WINDOW_S), url).wait()
    (_, *our_gaps), ours, (_, *their_gaps), theirs = seen
    figures = {
        f"CPU a request at {RATE * USERS}/s, labkit / FastHttpUser": (round(ours[0] / theirs[0], 2), "ratio"),
        f"CPU a request at {RATE * USERS}/s, labkit and FastHttpUser": (
            [round(ours[0]), round(theirs[0])],
            "µs",
        ),
        f"error of the gaps at {RATE}/s, labkit, p50 and p99": ([round(gap, 2) for gap in our_gaps], "ms"),
        f"error of the gaps at {RATE}/s, one FastHttpUser": ([round(gap, 2) for gap in their_gaps], "ms"),
        f"scheduling lag at {RATE} Poisson arrivals a second, p99": (
            round(result.scheduling_lag_p99_ms, 2),
            "ms",
        ),
    }
    for name, (value, unit) in figures.items():
        print(json.dumps({"figure": name, "value": value, "unit": unit}, ensure_ascii=False))


if __name__ == "__main__":
    asyncio.run(serve()) if "serve" in sys.argv else main()
