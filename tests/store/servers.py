"""Redis servers as processes of their own: single ones to be hurt, a Cluster, a master behind Sentinel."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from redis.exceptions import RedisError

from service.store.embedded import server_executable
from service.store.resp import ReplyReader, encode

NODE_TIMEOUT_MS = 1000
_START_TIMEOUT_S = 20.0


@dataclass
class Server:
    """One process, on loopback."""

    port: int
    process: subprocess.Popen[bytes]

    def ask(self, *command: str | int):
        """One command on a connection of its own; its reply with bytes as text. Raises what Redis answers."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
            connection.sendall(encode(command))
            reader, replies = ReplyReader(), []
            while not replies:
                data = connection.recv(65536)
                if not data:
                    raise ConnectionError("closed")
                replies = reader.feed(data)
        if isinstance(replies[0], Exception):
            raise replies[0]
        return _text(replies[0])

    def stall(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"


@dataclass
class Fleet:
    """Several servers and the URL that leads to them."""

    url: str
    servers: list[Server] = field(default_factory=list)

    def masters(self) -> list[Server]:
        return [one for one in self.servers if role(one) == "master"]

    def flush(self) -> None:
        for one in self.masters():
            one.ask("FLUSHALL")
            one.ask("SCRIPT", "FLUSH")


def role(server: Server) -> str:
    try:
        return server.ask("ROLE")[0]
    except (RedisError, OSError):
        return "gone"


def _text(reply):
    if isinstance(reply, list):
        return [_text(one) for one in reply]
    return reply.decode() if isinstance(reply, bytes) else reply


def _lines(text: str) -> dict[str, str]:
    return dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)


def free_port() -> int:
    """Low enough that a Cluster's bus, ten thousand above, has a port as well."""
    for port in range(21000 + os.getpid() % 2000, 50000):
        with socket.socket() as one, socket.socket() as bus:
            try:
                one.bind(("127.0.0.1", port))
                bus.bind(("127.0.0.1", port + 10000))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")


def until(holds: Callable[[], bool], what: str, timeout_s: float = _START_TIMEOUT_S) -> None:
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        try:
            if holds():
                return
        except (RedisError, OSError):
            pass
        time.sleep(0.02)
    raise AssertionError(f"never: {what}")


@contextmanager
def server(folder: Path, *options: str, is_sentinel: bool = False, config: str = "") -> Iterator[Server]:
    port = free_port()
    home = folder / str(port)
    home.mkdir()
    (home / "redis.conf").write_text(config)
    common = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(home), "--logfile", "log"]
    storage = ["--sentinel"] if is_sentinel else ["--save", "", "--appendonly", "no"]
    process = subprocess.Popen(
        [str(server_executable()), str(home / "redis.conf"), *common, *storage, *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    running = Server(port, process)
    try:
        until(lambda: bool(running.ask("PING")), f"redis-server on {port} answers")
        yield running
    finally:
        process.kill()
        process.wait()


@contextmanager
def cluster(folder: Path) -> Iterator[Fleet]:
    """Three masters, each with a replica."""
    options = ("--cluster-enabled", "yes", "--cluster-node-timeout", str(NODE_TIMEOUT_MS))
    # Without it a replica is not electable in its first seconds, and a failover test tests nothing.
    options += ("--repl-diskless-sync-delay", "0")
    with ExitStack() as stack:
        nodes = [stack.enter_context(server(folder, *options)) for _ in range(6)]
        masters, replicas = nodes[:3], nodes[3:]
        bounds = [0, 5461, 10923, 16384]
        for number, master in enumerate(masters):
            master.ask("CLUSTER", "ADDSLOTS", *range(bounds[number], bounds[number + 1]))
            master.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in nodes[1:]:
            nodes[0].ask("CLUSTER", "MEET", "127.0.0.1", node.port)
        for node in nodes:
            until(lambda node=node: int(_info(node)["cluster_known_nodes"]) == 6, "all nodes know each other")
        for master, replica in zip(masters, replicas, strict=True):
            replica.ask("CLUSTER", "REPLICATE", master.ask("CLUSTER", "MYID"))
        for node in nodes:
            until(lambda node=node: _info(node)["cluster_state"] == "ok", "the cluster is whole")
        for replica in replicas:
            until(lambda replica=replica: _is_linked(replica), "replicas follow their masters")
        for master in masters:
            until(lambda master=master: _has_replica(master), "masters know their replicas")
        yield Fleet("redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in nodes[:2]), nodes)


@contextmanager
def behind_sentinel(folder: Path) -> Iterator[Fleet]:
    """A master, a replica, three sentinels."""
    with ExitStack() as stack:
        master = stack.enter_context(server(folder, "--repl-diskless-sync-delay", "0"))
        replica = stack.enter_context(server(folder, "--replicaof", "127.0.0.1", str(master.port)))
        until(lambda: _is_linked(replica), "the replica follows its master")
        config = (
            f"sentinel monitor main 127.0.0.1 {master.port} 2\n"
            "sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 3000\n"
        )
        sentinels = [stack.enter_context(server(folder, is_sentinel=True, config=config)) for _ in range(3)]
        for sentinel in sentinels:
            until(lambda sentinel=sentinel: _sees_all(sentinel), "sentinels know each other and the replica")
        hosts = ",".join(f"127.0.0.1:{one.port}" for one in sentinels)
        yield Fleet(f"redis+sentinel://{hosts}/main", [master, replica])


def _info(node: Server) -> dict[str, str]:
    return _lines(node.ask("CLUSTER", "INFO"))


def _is_linked(replica: Server) -> bool:
    return _lines(replica.ask("INFO", "replication")).get("master_link_status") == "up"


def _has_replica(master: Server) -> bool:
    return _lines(master.ask("INFO", "replication"))["connected_slaves"] == "1"


def _sees_all(sentinel: Server) -> bool:
    flat = sentinel.ask("SENTINEL", "MASTER", "main")
    state = dict(zip(flat[::2], flat[1::2], strict=True))
    return int(state["num-other-sentinels"]) == 2 and int(state["num-slaves"]) == 1
