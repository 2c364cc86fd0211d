"""What `make agents` runs: scripts over the SDKs, and the agents' own command lines.

A command line is asked to write a file of awkward bytes (blanks, a tab, markup, quotes, a backslash, letters
beyond ASCII, a newline at the end). It passes when the file holds exactly these bytes, and its last words
quote what the tool said.
"""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from tests.clients.agents.installed import PYTHON, program
from tests.clients.processes import API_KEY

MODEL = "mimo-v2.6-pro"
CONTENT = "  first\n\t<b class=\"x\">1 & 2</b> \\n 'q' é 🎉\n\nlast\n"
_HERE = Path(__file__).parent

Fault = str | None


@dataclass(frozen=True)
class Outcome:
    """`fault` None: it passed."""

    fault: Fault
    took_s: float
    said: str

    @property
    def has_passed(self) -> bool:
        return self.fault is None


def _ended_well(_: Path, done: subprocess.CompletedProcess[bytes]) -> Fault:
    return None if done.returncode == 0 else f"exit code {done.returncode}"


def _wrote_the_file(folder: Path, done: subprocess.CompletedProcess[bytes]) -> Fault:
    if done.returncode != 0:
        return f"exit code {done.returncode}"
    path = folder / "work" / "out.txt"
    if not path.exists():
        return "the file was not written"
    found = path.read_bytes()
    if found != CONTENT.encode():
        return f"the file holds {found!r}"
    return None if b"what the tools told me" in done.stdout else "the answer does not quote the tool"


def _no_environ(folder: Path, base_url: str) -> dict[str, str]:
    return {}


@dataclass(frozen=True, eq=False)
class Case:
    """`prepare` writes what the client needs into its folder and gives the command."""

    name: str
    title: str
    package: str
    prepare: Callable[[Path, str], list[str]]
    fault: Callable[[Path, subprocess.CompletedProcess[bytes]], Fault] = field(default=_ended_well)
    environ: Callable[[Path, str], dict[str, str]] = field(default=_no_environ)


# --- scripts ------------------------------------------------------------------------------------------------


def _node(name: str, title: str, package: str, script: str, *arguments: str) -> Case:
    def prepare(folder: Path, base_url: str) -> list[str]:
        # Modules are looked up beside the script: it goes where the packages are.
        place = Path(program("codex")).parents[2] / "scripts"
        place.mkdir(exist_ok=True)
        for source in (_HERE / "node").iterdir():
            (place / source.name).write_bytes(source.read_bytes())
        return ["node", str(place / script), *arguments]

    return Case(name=name, title=title, package=package, prepare=prepare)


def _python(name: str, title: str, package: str, script: str, *arguments: str) -> Case:
    return Case(
        name=name,
        title=title,
        package=f"py:{package}",
        prepare=lambda folder, base_url: [str(PYTHON), str(_HERE / "python" / script), *arguments],
    )


# --- command lines ------------------------------------------------------------------------------------------


def _work(folder: Path) -> Path:
    place = folder / "work"
    place.mkdir()
    return place


def _prompt(tool: str, arguments: dict[str, object]) -> str:
    """Words for the agent, and the script for the simulator: which tool it calls, with which arguments."""
    encoded = base64.b64encode(orjson.dumps(arguments)).decode()
    # Without quotes: opencode puts its own round a message that has blanks, and backslashes before ours.
    return f"Write the file [[sim: on=call call={tool} args_base64={encoded}]]"


def _claude(folder: Path, base_url: str) -> list[str]:
    work = _work(folder)
    prompt = _prompt("Write", {"file_path": str(work / "out.txt"), "content": CONTENT})
    # The working folder is the case's own: the file is named by its whole path.
    return [program("claude"), "-p", prompt, "--allowedTools", "Write", "--add-dir", str(work)]


def _claude_environ(folder: Path, base_url: str) -> dict[str, str]:
    return {
        "ANTHROPIC_BASE_URL": base_url,
        "ANTHROPIC_AUTH_TOKEN": API_KEY,
        "ANTHROPIC_MODEL": MODEL,
        "CLAUDE_CONFIG_DIR": str(folder / "claude"),
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
    }


_CODEX_CONFIG = """\
model = "{model}"
model_provider = "mimo"
{catalog}
[model_providers.mimo]
name = "MiMo Gateway"
base_url = "{base_url}/v1"
env_key = "GATEWAY_KEY"
wire_api = "responses"
{provider}
"""


def _codex_home(folder: Path, base_url: str, *, catalog: str = "", provider: str = "") -> None:
    home = folder / "codex"
    home.mkdir()
    text = _CODEX_CONFIG.format(model=MODEL, base_url=base_url, catalog=catalog, provider=provider)
    (home / "config.toml").write_text(text)


def _codex_command(folder: Path, prompt: str) -> list[str]:
    work = _work(folder)
    flags = ["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "-C", str(work)]
    return [program("codex"), "exec", *flags, prompt]


def _codex(folder: Path, base_url: str) -> list[str]:
    _codex_home(folder, base_url)
    hexed = CONTENT.encode().hex()
    script = f'python3 -c \'open("out.txt","wb").write(bytes.fromhex("{hexed}"))\''
    return _codex_command(folder, _prompt("exec_command", {"cmd": script}))


def _codex_patch(folder: Path, base_url: str) -> list[str]:
    """With the gateway's model metadata: the freeform tool `apply_patch` takes raw text."""
    _codex_home(folder, base_url, provider=f'model_catalog_url = "{base_url}/v1/models"')
    added = "".join(f"+{line}\n" for line in CONTENT.removesuffix("\n").split("\n"))
    patch = f"*** Begin Patch\n*** Add File: out.txt\n{added}*** End Patch\n"
    return _codex_command(folder, _prompt("apply_patch", {"input": patch}))


def _codex_environ(folder: Path, base_url: str) -> dict[str, str]:
    return {"CODEX_HOME": str(folder / "codex")}


def _codex_without_warning(folder: Path, done: subprocess.CompletedProcess[bytes]) -> Fault:
    if b"Model metadata" in done.stdout + done.stderr:
        return "Codex misses the model's metadata"
    return _wrote_the_file(folder, done)


def _opencode(package: str) -> Callable[[Path, str], list[str]]:
    def prepare(folder: Path, base_url: str) -> list[str]:
        work = _work(folder)
        provider = {
            "npm": package,
            "name": "MiMo Gateway",
            "options": {"baseURL": f"{base_url}/v1", "apiKey": API_KEY},
            "models": {MODEL: {"name": "MiMo", "limit": {"context": 1_000_000, "output": 32_000}}},
        }
        config = {
            "$schema": "https://opencode.ai/config.json",
            "provider": {"mimo": provider},
            "permission": {"edit": "allow", "bash": "allow", "external_directory": "allow"},
            "autoupdate": False,
            "share": "disabled",
        }
        (folder / "opencode.json").write_bytes(orjson.dumps(config))
        arguments = {"filePath": str(work / "out.txt"), "content": CONTENT}
        return [program("opencode"), "run", "-m", f"mimo/{MODEL}", _prompt("write", arguments)]

    return prepare


def _opencode_environ(folder: Path, base_url: str) -> dict[str, str]:
    return {
        "OPENCODE_CONFIG": str(folder / "opencode.json"),
        "OPENCODE_DISABLE_AUTOUPDATE": "1",
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
    }


CASES = (
    _node("node-openai-chat", "openai (Node), Chat, `runTools`", "openai", "openai_chat.mjs"),
    _node("node-openai-responses", "openai (Node), Responses", "openai", "openai_responses.mjs"),
    _node("node-anthropic", "@anthropic-ai/sdk, stream helper", "@anthropic-ai/sdk", "anthropic.mjs"),
    _node(
        "node-anthropic-runner",
        "@anthropic-ai/sdk, `toolRunner`",
        "@anthropic-ai/sdk",
        "anthropic_tool_runner.mjs",
    ),
    _node("vercel-chat", "Vercel AI SDK, openai-compatible", "ai", "vercel.mjs", "chat"),
    _node("vercel-responses", "Vercel AI SDK, openai (Responses)", "ai", "vercel.mjs", "responses"),
    _node("vercel-anthropic", "Vercel AI SDK, anthropic", "ai", "vercel.mjs", "anthropic"),
    _python("langchain-chat", "LangChain, openai Chat", "langchain-openai", "langchain_task.py", "chat"),
    _python(
        "langchain-responses",
        "LangChain, openai Responses",
        "langchain-openai",
        "langchain_task.py",
        "responses",
    ),
    _python(
        "langchain-anthropic",
        "LangChain, anthropic",
        "langchain-anthropic",
        "langchain_task.py",
        "anthropic",
    ),
    _python("pydantic-chat", "pydantic-ai, openai Chat", "pydantic-ai-slim", "pydantic_ai_task.py", "chat"),
    _python(
        "pydantic-responses",
        "pydantic-ai, openai Responses",
        "pydantic-ai-slim",
        "pydantic_ai_task.py",
        "responses",
    ),
    _python(
        "pydantic-anthropic",
        "pydantic-ai, anthropic",
        "pydantic-ai-slim",
        "pydantic_ai_task.py",
        "anthropic",
    ),
    _python("agents-chat", "openai-agents, Chat", "openai-agents", "openai_agents_task.py", "chat"),
    _python(
        "agents-responses", "openai-agents, Responses", "openai-agents", "openai_agents_task.py", "responses"
    ),
    Case(
        name="claude-code",
        title="Claude Code",
        package="@anthropic-ai/claude-code",
        prepare=_claude,
        fault=_wrote_the_file,
        environ=_claude_environ,
    ),
    Case(
        name="codex",
        title="Codex, `exec_command`",
        package="@openai/codex",
        prepare=_codex,
        fault=_wrote_the_file,
        environ=_codex_environ,
    ),
    Case(
        name="codex-patch",
        title="Codex with the gateway's metadata, `apply_patch`",
        package="@openai/codex",
        prepare=_codex_patch,
        fault=_codex_without_warning,
        environ=_codex_environ,
    ),
    *(
        Case(
            name=f"opencode-{dialect}",
            title=f"opencode, {package}",
            package="opencode-ai",
            prepare=_opencode(package),
            fault=_wrote_the_file,
            environ=_opencode_environ,
        )
        for dialect, package in (
            ("chat", "@ai-sdk/openai-compatible"),
            ("responses", "@ai-sdk/openai"),
            ("anthropic", "@ai-sdk/anthropic"),
        )
    ),
)
