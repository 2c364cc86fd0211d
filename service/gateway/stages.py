"""Which stages an answer passes between its wire's decoder and the dialect, decided by what was asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from service.config import AccountKind
from service.core.conversation import Conversation, ResponseFormatKind, ToolChoiceMode
from service.core.cuts import SingleCall, StopSequences
from service.core.loops import LoopGuard, LoopPolicy
from service.core.mimoml.sieve import Sieve, SievePolicy
from service.core.orphans import OrphanCloser
from service.core.pipeline import Stage
from service.core.promotion import ReasoningAsText
from service.core.upstreams.mimo_platform import takes_stop
from service.core.web_search import WEB_SEARCH, source_filter


def stages_for(
    conversation: Conversation,
    kind: AccountKind,
    *,
    new_call_id: Callable[[], str],
    offers_tools: bool,
    shows_lone_reasoning: bool = False,
) -> list[Stage]:
    """A stray end of thinking is dropped first; then the sieve where tools were offered (leaks happen on the
    platform too), then the cuts the wire cannot make."""
    stages: list[Stage] = [OrphanCloser()] if conversation.uses_sieve else []
    is_studio = kind is AccountKind.STUDIO
    calls_tools = bool(conversation.tools) and conversation.tool_choice.mode is not ToolChoiceMode.NONE
    if calls_tools and conversation.uses_sieve and (offers_tools or not is_studio):
        # On studio, addresses were broken up in the prompt: what the model repeats of them is put back.
        policy = SievePolicy(native_calls=not is_studio, restores_urls=is_studio)
        stages.append(Sieve(conversation.tools, new_call_id=new_call_id, policy=policy))
    if calls_tools and not conversation.tool_choice.allows_parallel:
        stages.append(SingleCall())
    if conversation.guards_loops:
        policy_of_loops = LoopPolicy(
            max_reasoning_tokens=conversation.max_reasoning_tokens,
            expects_data=conversation.response_format.kind is not ResponseFormatKind.TEXT,
        )
        stages.append(LoopGuard(policy_of_loops))
    sampling = conversation.sampling
    if sampling.stop and (is_studio or not takes_stop(sampling)):
        stages.append(StopSequences(sampling.stop))
    if (sites := source_filter(conversation.extra.get(WEB_SEARCH))) is not None:
        stages.append(sites)
    if shows_lone_reasoning:
        stages.append(ReasoningAsText())
    return stages


def most_held_chars(stages: Sequence[Stage]) -> int | None:
    """The most that the sieve among them held back at once; None: there is none."""
    return next((stage.most_held_chars for stage in stages if isinstance(stage, Sieve)), None)
