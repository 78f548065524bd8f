"""Tries deploy/compose/haproxy.cfg: HAProxy in front of two instances, a reload, and a rolling restart of both.

Usage: proxy.py PROGRAM, in the top folder of the repository. Each instance has a store of its own here, as it is about the proxy.
"""

import asyncio
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from datetime import datetime, timezone
from pathlib import Path
from urllib.error import HTTPError, URLError

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

CONFIGURATION = Path("deploy/compose/haproxy.cfg")
TOKEN = "a-long-random-text"
CLIENTS = 60
# As in tests/harness/port.rs. Those that were given are taken out.
PORTS = list(range(20_000, 32_000))
# How far the proxy may be from an even spread: connections that come at the same time are counted a little later.
UNEVEN = 2
DRAIN_DELAY = 3.0
DRAIN = {
    "LIVE_WS_DRAIN_DELAY_MS": "3000",
    "LIVE_WS_DRAIN_SPREAD_MS": "2000",
    "LIVE_WS_RECONNECT_SPREAD_MS": "1000",
    "LIVE_WS_CLOSE_TIMEOUT_MS": "2000",
    "LIVE_WS_DRAIN_TIMEOUT_MS": "7000",
}


def free_port() -> int:
    """A port of 127.0.0.1 that was free just now, below those that the system gives away: no other connection takes one while an instance
    that keeps to it is away."""
    while True:
        port = random.choice(PORTS)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        PORTS.remove(port)
        return port


async def eventually(what: str, is_so, seconds: float = 20):
    """Asks again and again until it is so, and gives the answer."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := await asyncio.to_thread(is_so):
            return answer
        await asyncio.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


def get(url: str) -> str | None:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.read().decode()
    except (URLError, OSError):
        return None


class Instance:
    """A processor with ports of its own, which keep to it when it is started again."""

    def __init__(self, program: str, number: int, folder: Path):
        self.program, self.folder = Path(program).resolve(), folder
        self.live, self.map, self.ops = free_port(), free_port(), free_port()
        self.variables = {
            f"PROCESSOR_{number}_LIVE": f"127.0.0.1:{self.live}",
            f"PROCESSOR_{number}_MAP": f"127.0.0.1:{self.map}",
            f"PROCESSOR_{number}_OPS": f"127.0.0.1:{self.ops}",
        }
        folder.mkdir()
        self.start()

    def start(self) -> None:
        settings = {
            "LIVE_WS_HOST": "127.0.0.1",
            "LIVE_WS_PORT": str(self.live),
            "LIVE_WS_TRUSTED_PROXIES": "127.0.0.1",
            "LIVE_WS_FORWARDED_HEADER": "x-forwarded-for",
            "LIVE_WS_WORKERS": "1",
            "WEB_PORT": str(self.map),
            "OPS_PORT": str(self.ops),
            "OPS_INGEST_TOKEN": TOKEN,
        }
        log = (self.folder / "log").open("a")
        self.process = subprocess.Popen([self.program], env=settings | DRAIN, cwd=self.folder, stderr=log)

    def connections(self) -> int:
        page = get(f"http://127.0.0.1:{self.ops}/metrics") or ""
        found = re.search(r"^processor_live_connections\{[^}]*\} (\d+)$", page, re.MULTILINE)
        assert found, "no processor_live_connections"
        return int(found[1])

    def addresses(self) -> set[str]:
        page = json.loads(get(f"http://127.0.0.1:{self.ops}/connections?limit=1000"))
        return {one["remote"] for one in page["connections"]}

    def is_ready(self) -> bool:
        return get(f"http://127.0.0.1:{self.ops}/readyz") is not None


class Proxy:
    """HAProxy with the configuration as it is; its addresses come from the environment."""

    def __init__(self, instances: list[Instance], folder: Path):
        self.port = free_port()
        # 20,000 connections need more descriptors than a test may have.
        variables = {"PROXY_BIND": f"127.0.0.1:{self.port}", "PROXY_MAXCONN": "2000", "PATH": os.environ["PATH"]}
        for one in instances:
            variables |= one.variables
        checked = ["haproxy", "-c", "-f", str(CONFIGURATION)]
        subprocess.run(checked, env=variables, check=True, stdout=subprocess.DEVNULL)
        self.said = folder / "haproxy.log"
        command = ["haproxy", "-W", "-db", "-f", str(CONFIGURATION)]
        self.process = subprocess.Popen(command, env=variables, stdout=self.said.open("a"), stderr=subprocess.STDOUT)
        self.live = f"ws://127.0.0.1:{self.port}/live"

    def status(self, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> int:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=body, headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=5) as response:
                return response.status
        except HTTPError as error:
            return error.code
        except URLError:
            return 0

    def post(self, token: str | None = TOKEN) -> int:
        now = datetime.now(timezone.utc).isoformat()
        position = {"device_id": "42", "timestamp": now, "latitude": 52.5, "longitude": 13.4}
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self.status("/positions", json.dumps(position).encode(), headers)

    def workers(self) -> set[str]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return set(children.read_text().split())


async def opened(proxy: Proxy, address: str = "127.0.0.1") -> ClientConnection:
    return await connect(proxy.live, local_addr=(address, 0), ping_interval=None, compression=None)


async def is_served(client: ClientConnection) -> bool:
    await client.send('{"type":"hello"}')
    return json.loads(await asyncio.wait_for(client.recv(), 5))["type"] == "welcome"


class Ended:
    """What a client was told at its end, and when, in seconds since the signal."""

    def __init__(self, code: int, seconds: float, wait: float):
        self.code, self.seconds, self.wait = code, seconds, wait


async def wait_for_end(client: ClientConnection, signalled: float) -> Ended:
    wait = None
    try:
        while True:
            message = json.loads(await client.recv())
            if message["type"] == "draining":
                wait = message["reconnect_after_ms"] / 1000
    except ConnectionClosed as closed:
        code = closed.rcvd.code if closed.rcvd else None
        assert code == 1001 and wait is not None, f"closed with {code}, to come back after {wait}"
        return Ended(code, time.monotonic() - signalled, wait)


async def follow(proxy: Proxy, client: ClientConnection, signalled: float) -> tuple[Ended, ClientConnection]:
    """A client that does as it is told: back after `reconnect_after_ms`, at the same address."""
    ended = await wait_for_end(client, signalled)
    await asyncio.sleep(ended.wait)
    return ended, await opened(proxy)


async def keep_coming(proxy: Proxy, until: asyncio.Event) -> list[ClientConnection]:
    """New clients, one every 20 ms. Any that is refused fails the test."""
    came = []
    while not until.is_set():
        came.append(await opened(proxy))
        await asyncio.sleep(0.02)
    return came


async def keep_posting(proxy: Proxy, until: asyncio.Event) -> list[int]:
    statuses = []
    while not until.is_set():
        statuses.append(await asyncio.to_thread(proxy.post))
    return statuses


async def spreads(proxy: Proxy, instances: list[Instance]) -> list[ClientConnection]:
    await eventually("nobody is connected", lambda: not any(one.connections() for one in instances))
    clients = [await opened(proxy) for _ in range(CLIENTS)]
    await eventually("all are counted", lambda: sum(one.connections() for one in instances) == CLIENTS)
    counts = [one.connections() for one in instances]
    assert abs(counts[0] - counts[1]) <= UNEVEN, counts
    print(f"{CLIENTS} clients: {counts[0]} at one instance, {counts[1]} at the other")
    return clients


async def passes_on(proxy: Proxy, instances: list[Instance]) -> None:
    stranger = await opened(proxy, "127.0.0.9")
    await eventually(
        "a client's own address at its instance",
        lambda: any(address.startswith("127.0.0.9") for one in instances for address in one.addresses()),
    )
    await stranger.close()
    assert proxy.status("/") == 200, "the map page"
    assert proxy.post() == 200
    assert proxy.post(token=None) == 401
    for path in ("/metrics", "/connections", "/readyz", "/healthz"):
        assert proxy.status(path) == 404, f"{path} of the ops port is passed on"
    print("the map, posts and clients' addresses pass, the other pages of the ops port do not")


async def keeps_through_reload(proxy: Proxy, clients: list[ClientConnection]) -> None:
    before = proxy.workers()
    proxy.process.send_signal(signal.SIGUSR2)
    await eventually("a new worker of HAProxy", lambda: proxy.workers() - before)
    await eventually("posts through it", lambda: proxy.post() == 200)
    assert all([await is_served(client) for client in clients])
    newcomer = await opened(proxy)
    assert await is_served(newcomer)
    await newcomer.close()
    print(f"reloaded: all {len(clients)} clients are served as before, and a new one is")


async def stops_one(proxy: Proxy, stopping: Instance, staying: Instance, clients: list[ClientConnection]) -> None:
    before, gone = stopping.connections(), asyncio.Event()
    came, posted = asyncio.create_task(keep_coming(proxy, gone)), asyncio.create_task(keep_posting(proxy, gone))
    await eventually("the first newcomers", lambda: stopping.connections() > before)
    signalled = time.monotonic()
    stopping.process.send_signal(signal.SIGTERM)
    follows = [asyncio.create_task(follow(proxy, client, signalled)) for client in clients]
    code = await asyncio.to_thread(stopping.process.wait, 10)
    took = time.monotonic() - signalled
    gone.set()
    newcomers, statuses = await came, await posted
    assert code == 0, f"exit code {code}"
    assert set(statuses) == {200}, f"posts: {set(statuses)}"

    # Of those who were there before, all of the stopping instance come back; the others are served as before.
    followed = await asyncio.wait_for(
        asyncio.gather(*(one for one, client in zip(follows, clients, strict=True) if client.close_code)), 10
    )
    for one in follows:
        one.cancel()
    assert abs(len(followed) - len(clients) / 2) <= UNEVEN, len(followed)
    first, last = (pick(ended.seconds for ended, _ in followed) for pick in (min, max))
    assert first >= DRAIN_DELAY, f"the first close came after {first:.2f} s"
    assert all([await is_served(again) for _, again in followed])

    # Of the newcomers, those who came to it before it stopped have been closed too; all the others are at the one that stays.
    kept = [one for one in newcomers if one.close_code is None]
    stayed = [one for one in clients if one.close_code is None]
    await eventually(
        "all are at the instance that stays",
        lambda: staying.connections() == len(kept) + len(stayed) + len(followed),
    )
    print(
        f"stopped within {took:.1f} s: {len(followed)} of {len(clients)} clients closed with 1001, {first:.1f} to {last:.1f} s "
        f"after the signal, and back at the other; {len(newcomers)} new ones and {len(statuses)} posts meanwhile, none refused"
    )
    for one in [*newcomers, *stayed, *(again for _, again in followed)]:
        await one.close()


async def comes_back(proxy: Proxy, stopped: Instance) -> None:
    stopped.start()
    await eventually("ready again", stopped.is_ready)
    clients = []

    async def reaches_it() -> bool:
        clients.append(await opened(proxy))
        return stopped.connections() > 0

    loop = asyncio.get_running_loop()
    await eventually(
        "new clients at the instance that is back",
        lambda: asyncio.run_coroutine_threadsafe(reaches_it(), loop).result(),
    )
    for client in clients:
        await client.close()
    print("started again: new clients reach it")


async def run(program: str, folder: Path, started: list[subprocess.Popen]) -> None:
    instances = []
    for number in (1, 2):
        instances.append(Instance(program, number, folder / str(number)))
        started.append(instances[-1].process)
    for one in instances:
        await eventually("ready", one.is_ready)
    proxy = Proxy(instances, folder)
    started.append(proxy.process)
    await eventually("posts through the proxy", lambda: proxy.post() == 200)
    clients = await spreads(proxy, instances)
    await passes_on(proxy, instances)
    await keeps_through_reload(proxy, clients)
    # The rolling restart: one, and when it is back and the proxy has noticed, the other.
    first, second = instances
    await stops_one(proxy, first, second, clients)
    await comes_back(proxy, first)
    started.append(first.process)
    await stops_one(proxy, second, first, await spreads(proxy, instances))


def main() -> None:
    started = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            asyncio.run(run(sys.argv[1], Path(folder), started))
        except BaseException:
            for log in Path(folder).rglob("*log"):
                print(f"{log}:\n{log.read_text()[-3000:]}", file=sys.stderr)
            raise
        finally:
            # Also a master of HAProxy ends its workers when it is told to; whoever does not is killed.
            for process in started:
                process.terminate()
            for process in started:
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()


main()
