"""The command line: serve, worker, batches, keys, accounts, usage, simulator, check-config, doctor."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog
from aiohttp import http_parser

from service import __version__, accounts_cli, batches_cli, doctor, keys_cli, usage_cli
from service.allocator import give_large_blocks_back
from service.app import Gateway, Working, running, working
from service.config import Config
from service.config_loader import DEMO_API_KEY, demo, load, overridden
from service.config_references import References
from service.config_values import ConfigError
from service.lifecycle import Reloader, Source, drain
from service.simulator import Simulator
from service.store.embedded import EmbeddedRedisError
from service.store.urls import RedisUrlError, decode_url
from service.telemetry.log import LineWriter, configure

# A request makes some two thousand objects and hardly a cycle: the default of 700 collects thrice a request.
_GC_THRESHOLDS = (50_000, 20, 50)
DEFAULT_CONFIG = Path("config.json")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. 0: fine; 1: it failed; 2: the configuration or the command line is wrong."""
    arguments = _parser().parse_args(argv)
    if argv is None:  # this process's own: a command says itself what matters; serve and worker log as told
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        return int(arguments.run(arguments))
    except (ConfigError, RedisUrlError) as error:
        print(f"configuration error: {error}", file=sys.stderr)
        return 2
    except EmbeddedRedisError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mimo-gateway", description=__doc__)
    parser.add_argument("--version", action="version", version=f"mimo-gateway {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = _command(commands, "serve", _serve, "run the gateway")
    serve.add_argument("--config", type=Path, help="configuration file (default: config.json, else the demo)")
    serve.add_argument("--host", help="address to listen on")
    serve.add_argument("--port", type=int, help="port to listen on")
    serve.add_argument("--ops-port", type=int, help="port for probes and metrics alone")
    serve.add_argument(
        "--data-dir", type=Path, default=Path(".mimo-gateway"), help="the embedded Redis's data"
    )
    _add_batch_commands(commands)
    simulator = _command(commands, "simulator", _simulator, "run the built-in upstream alone")
    simulator.add_argument("--host", default="127.0.0.1")
    simulator.add_argument("--port", type=int, default=8090)
    check = _command(
        commands, "check-config", _check_config, "read a configuration file and say what is wrong"
    )
    check.add_argument("file", type=Path)
    look = _command(commands, "doctor", _doctor, "reach Redis and each account, and say what is wrong")
    look.add_argument("--config", type=Path)
    look.add_argument("--data-dir", type=Path, default=Path(".mimo-gateway"))
    issued = _command(commands, "keys", _keys, "create, list and revoke API keys that are kept in Redis")
    keys_cli.add_arguments(issued, Path(".mimo-gateway"))
    usage = _command(commands, "usage", _usage, "what was used and what it cost, by day, key and model")
    usage_cli.add_arguments(usage, Path(".mimo-gateway"))
    accounts = _command(commands, "accounts", _accounts, "see, test, import, reset and remove accounts")
    accounts_cli.add_arguments(accounts, Path(".mimo-gateway"))
    return parser


def _add_batch_commands(commands: Any) -> None:
    data_dir = Path(".mimo-gateway")
    worker = _command(commands, "worker", _worker, "run items of batches, without a gateway")
    worker.add_argument("--config", type=Path)
    worker.add_argument("--ops-port", type=int, help="port for probes and metrics")
    worker.add_argument("--data-dir", type=Path, default=data_dir, help="the embedded Redis's data")
    batches = _command(commands, "batches", _batches, "see how batches stand")
    batches.add_argument("what", choices=("list", "show", "watch"))
    batches.add_argument("batch_id", nargs="?", help="one batch; watch: all that are open")
    batches.add_argument("--config", type=Path)
    batches.add_argument("--data-dir", type=Path, default=data_dir)
    batches.add_argument(
        "--interval", type=float, default=1.0, metavar="SECONDS", help="watch: between looks"
    )


def _command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], text: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(run=run)
    return parser


# --- configuration ------------------------------------------------------------------------------------------


def _read(path: Path, references: References | None = None) -> Config:
    references = references or References(os.environ)
    try:
        return load(path.read_bytes(), resolve=references.resolve)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None


def _path(given: Path | None) -> Path | None:
    """The file that was named, by option or MIMO_CONFIG; else config.json; else None: the demo."""
    named = given or (Path(os.environ["MIMO_CONFIG"]) if os.environ.get("MIMO_CONFIG") else None)
    return named or (DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None)


def _config(given: Path | None, references: References | None = None) -> Config:
    """The file's configuration, or the demo's. Then the environment."""
    path = _path(given)
    config = _read(path, references) if path is not None else demo("http://127.0.0.1:1")
    return overridden(config, os.environ)


def _source(arguments: argparse.Namespace) -> Source:
    """What `serve` and `worker` run on: the file, the environment, then the command line."""
    path, references = _path(arguments.config), References(os.environ)
    told = vars(arguments)
    options = {name: told[name] for name in ("host", "port", "ops_port") if told.get(name) is not None}

    def read() -> Config:
        config = _config(path, references)
        return replace(config, listen=replace(config.listen, **options))

    return Source(read=read, files=lambda: [] if path is None else [path, *references.files])


# --- commands -----------------------------------------------------------------------------------------------


def _serve(arguments: argparse.Namespace) -> int:
    source = _source(arguments)
    config = source.read()
    # The pure-Python parser let smuggled requests through (CVE-2025-69224): refuse to run on it.
    if http_parser.HttpRequestParser is http_parser.HttpRequestParserPy:
        print("aiohttp's C extensions are missing on this machine; install its wheel", file=sys.stderr)
        return 1
    writer = configure(config.log)
    try:
        return _run(_serving(config, source, arguments.data_dir, writer))
    except OSError as error:
        where = f"{config.listen.host}:{config.listen.port}"
        print(f"cannot listen on {where}: {error.strerror}", file=sys.stderr)
        return 1
    finally:
        writer.close()


async def _serving(config: Config, source: Source, data_dir: Path, writer: LineWriter) -> int:
    log = structlog.get_logger()
    stopped = _stop_signal()
    async with running(config, data_dir=data_dir) as gateway:
        metrics = gateway.services.metrics
        metrics.log_dropped.read = lambda: writer.dropped
        metrics.log_scrubbed.read = lambda: writer.scrubber.hits
        if not config.is_demo:
            _reloading(source, gateway)
        # What start-up made lives as long as the process: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GC_THRESHOLDS)
        give_large_blocks_back()
        if config.is_demo:
            print(_welcome(gateway.base_url), file=sys.stderr, flush=True)
        log.info(
            "started",
            host=gateway.config.listen.host,
            port=int(gateway.base_url.rpartition(":")[2]),
            accounts=len(gateway.config.mimo_accounts),
            demo=gateway.config.is_demo,
        )
        reason = await stopped
        log.info("stopping", signal=reason)
        # Who presses Ctrl-C stands before it: there is no balancer to wait for.
        is_patient = reason == "SIGTERM" and not config.is_demo
        await drain(gateway, propagation_s=config.timeouts.propagation_s if is_patient else 0.0)
    return 0


def _worker(arguments: argparse.Namespace) -> int:
    source = _source(arguments)
    config = source.read()
    writer = configure(config.log)
    try:
        return _run(_working(config, source, arguments.data_dir, writer))
    except OSError as error:
        print(f"cannot listen on port {config.listen.ops_port}: {error.strerror}", file=sys.stderr)
        return 1
    finally:
        writer.close()


async def _working(config: Config, source: Source, data_dir: Path, writer: LineWriter) -> int:
    log = structlog.get_logger()
    stopped = _stop_signal()
    async with working(config, data_dir=data_dir) as worker:
        metrics = worker.services.metrics
        metrics.log_dropped.read = lambda: writer.dropped
        metrics.log_scrubbed.read = lambda: writer.scrubber.hits
        if not config.is_demo:
            _reloading(source, worker)
        log.info("started", task="batch_worker", accounts=len(config.mimo_accounts), demo=config.is_demo)
        log.info("stopping", signal=await stopped)
    return 0


def _batches(arguments: argparse.Namespace) -> int:
    if arguments.what == "show" and arguments.batch_id is None:
        print("batches show: which one? Its id is missing.", file=sys.stderr)
        return 2

    def write(text: str) -> None:
        print(text, end="", flush=True)

    return _run(
        batches_cli.run(
            _config(arguments.config),
            data_dir=arguments.data_dir,
            what=arguments.what,
            batch_id=arguments.batch_id,
            interval_s=max(arguments.interval, 0.1),
            screen=batches_cli.Screen(write=write, is_live=sys.stdout.isatty()),
        )
    )


def _reloading(source: Source, process: Gateway | Working) -> None:
    """Reload at SIGHUP, and when a file has changed."""
    reloader = Reloader(source, process.config, process.reconfigure, process.services.metrics)

    async def look() -> None:
        reloader.look()

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, lambda: reloader.reload(reason="SIGHUP"))
    if watch_s := process.config.reload.watch_s:
        process.services.background.repeat(watch_s, look, name="config_watch")


def _stop_signal() -> asyncio.Future[str]:
    """Resolved by the first SIGTERM or SIGINT; a second one ends the process the ordinary, abrupt way."""
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[str] = loop.create_future()

    def stop(name: str) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
        stopped.set_result(name)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number.name)
    return stopped


def _welcome(base_url: str) -> str:
    curl = f"curl -s {base_url}/v1"
    headers = f"-H 'Authorization: Bearer {DEMO_API_KEY}' -H 'Content-Type: application/json'"
    hello = '{"model": "mimo-v2.6-pro", "messages": [{"role": "user", "content": "Hello"}]}'
    story = hello.replace("Hello", "Tell me a story").replace('"messages"', '"stream": true, "messages"')
    return f"""
MiMo Gateway {__version__} listens on {base_url}
No config.json: the built-in simulator answers, Redis is embedded, the API key is {DEMO_API_KEY}.
The admin page is {base_url}/admin; it opens to the key that MIMO_ADMIN_KEY holds (16 characters or more).

Try:
  {curl}/models {headers}
  {curl}/chat/completions {headers} -d '{hello}'
  {curl}/chat/completions {headers} -N -d '{story}'
"""


def _simulator(arguments: argparse.Namespace) -> int:
    return _run(_simulating(arguments.host, arguments.port))


async def _simulating(host: str, port: int) -> int:
    stopped = _stop_signal()
    async with Simulator.start(host=host, port=port) as simulator:
        print(
            f"the simulator answers for both MiMo wires on {simulator.base_url}", file=sys.stderr, flush=True
        )
        await stopped
    return 0


def _check_config(arguments: argparse.Namespace) -> int:
    config = overridden(_read(arguments.file), os.environ)
    if (url := config.redis_url.reveal()) != "embedded":
        decode_url(url)
    kinds = [str(account.kind) for account in config.mimo_accounts]
    summary = ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds))) or "none"
    print(f"{arguments.file}: fine. API keys: {len(config.api_keys)}; accounts: {summary}")
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    return _run(doctor.examine(_config(arguments.config), data_dir=arguments.data_dir, say=print))


def _keys(arguments: argparse.Namespace) -> int:
    return _run(keys_cli.run(_config(arguments.config), arguments, print))


def _usage(arguments: argparse.Namespace) -> int:
    return _run(usage_cli.run(_config(arguments.config), arguments, print))


def _accounts(arguments: argparse.Namespace) -> int:
    if arguments.action == "import":
        return accounts_cli.import_account(_path(arguments.config) or DEFAULT_CONFIG, arguments, print)
    if arguments.action == "remove":
        file = _path(arguments.config) or DEFAULT_CONFIG
        return _run(accounts_cli.remove(_config(arguments.config), file, arguments, print))
    return _run(accounts_cli.run(_config(arguments.config), arguments, print))


def _run(work: Coroutine[Any, Any, int]) -> int:
    """On uvloop where it is installed: five to ten per cent less CPU an event (docs/decisions)."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


if __name__ == "__main__":
    sys.exit(main())
