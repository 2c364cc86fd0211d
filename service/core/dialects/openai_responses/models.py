"""Codex's model metadata: the key `models` beside OpenAI's `data` in `GET /v1/models`.

Without it Codex warns "Model metadata not found" and offers neither apply_patch nor compaction at the right
size. Source: Codex 0.169 with `model_catalog_url`, as recorded, and the fields of its ModelInfo; read
2026-11-20.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

DEFAULT_INSTRUCTIONS = """\
You are a coding agent in the Codex CLI, running in a terminal on the user's machine. You and the user share
one workspace, and you work on the task until it is done.

- Be precise, safe and helpful. Say in a sentence what you are about to do before a group of tool calls.
- Read before you write: look at the files that matter (prefer `rg` for searching) and follow AGENTS.md files
  where they apply to the files you touch.
- Change only what the task needs, in the style of the code around it. Fix causes, not symptoms. Do not repair
  unrelated faults; mention them instead.
- Edit files with the `apply_patch` tool when it is offered. Never revert changes that you did not make, and
  never commit or create branches unless you are asked to.
- After a change, run the tests or commands that show that it works, the most specific ones first.
- Respect the sandbox and the approval rules that you are told. When a command needs an approval, ask for it
  with the tool's own parameters.
- Use the plan tool for work of several steps, and keep exactly one step in progress.
- At the end, say what you did and what is left, in plain and brief words, naming files as `path:line`.
"""

_LEVEL_WORDS = {
    "none": "No thinking: the fastest answers",
    "low": "Thinking on (MiMo chooses how long)",
    "medium": "Thinking on (MiMo chooses how long)",
    "high": "Thinking on (MiMo chooses how long)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CodexModel:
    """The facts Codex needs of one model. `context_window_tokens` None where it is not known; `priority`
    sorts the picker, lowest first."""

    model_id: str
    display_name: str | None = None
    description: str = ""
    context_window_tokens: int | None = None
    takes_images: bool = False
    can_think: bool = True
    takes_parallel_calls: bool = True
    priority: int = 0
    instructions: str = DEFAULT_INSTRUCTIONS


def codex_models(models: Iterable[CodexModel]) -> list[dict[str, object]]:
    """The list for the key `models`, in the given order."""
    return [_codex_model(model) for model in models]


def _codex_model(model: CodexModel) -> dict[str, object]:
    levels = list(_LEVEL_WORDS) if model.can_think else ["none"]
    return {
        "slug": model.model_id,
        "display_name": model.display_name or model.model_id,
        "description": model.description or model.model_id,
        "default_reasoning_level": "medium" if model.can_think else "none",
        "supported_reasoning_levels": [
            {"effort": level, "description": _LEVEL_WORDS[level]} for level in levels
        ],
        "shell_type": "shell_command",
        "visibility": "list",
        "supported_in_api": True,
        "availability_nux": None,
        "upgrade": None,
        "priority": model.priority,
        "base_instructions": model.instructions,
        "supports_reasoning_summaries": model.can_think,
        "default_reasoning_summary": "auto",
        "support_verbosity": False,
        "default_verbosity": None,
        "apply_patch_tool_type": "freeform",
        "web_search_tool_type": "text",
        "truncation_policy": {"mode": "bytes", "limit": 10_000},
        "supports_parallel_tool_calls": model.takes_parallel_calls,
        "context_window": model.context_window_tokens,
        "effective_context_window_percent": 95,
        "experimental_supported_tools": [],
        "input_modalities": ["text", "image"] if model.takes_images else ["text"],
    }
