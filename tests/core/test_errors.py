"""The tree of failures: one class a kind, facts kept, nothing secret shown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from service.core import errors
from service.core.errors import GatewayError, Kind, Origin


def leaves() -> list[type[GatewayError]]:
    """Every class that is raised."""
    found = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, GatewayError)
    ]
    return [kind for kind in found if kind not in (GatewayError, errors.UpstreamError)]


def test_every_kind_has_its_one_class() -> None:
    assert sorted(kind.kind for kind in leaves()) == sorted(Kind)


@pytest.mark.parametrize("kind", leaves(), ids=lambda kind: kind.__name__)
def test_the_origin_says_whose_fault_it_is(kind: type[GatewayError]) -> None:
    if issubclass(kind, errors.UpstreamError):
        assert kind.origin is Origin.UPSTREAM
    assert (kind.origin is Origin.GATEWAY) == (
        kind in (errors.Overloaded, errors.NoAccount, errors.StoreUnavailable, errors.Internal)
    )


def test_facts_are_kept() -> None:
    error = errors.InvalidRequest("bad", param="messages[0]", code="c", retry_after_s=1.5)
    assert (error.message, error.param, error.code, error.retry_after_s) == ("bad", "messages[0]", "c", 1.5)
    assert str(error) == "bad"
    upstream = errors.UpstreamRefused("no", status=404, param="p", code="c", retry_after_s=2.0)
    assert (upstream.status, upstream.param, upstream.code, upstream.retry_after_s) == (404, "p", "c", 2.0)
    assert errors.BodyTooLarge(max_bytes=7).max_bytes == 7
    timeout = errors.UpstreamTimeout(waited_s=29.6, phase="idle")
    assert (timeout.waited_s, timeout.phase) == (29.6, "idle")
    assert str(timeout) == "The upstream sent nothing for 30 s (idle timeout)."
    assert errors.Internal().kind is Kind.INTERNAL


def test_a_model_s_name_is_not_echoed_without_end() -> None:
    assert "'gpt'" in str(errors.ModelNotFound("gpt"))
    assert len(str(errors.ModelNotFound("x" * 10_000))) < 150


def test_an_error_may_be_raised_through_a_context_manager() -> None:
    """A frozen slotted dataclass would turn into TypeError here."""

    @contextmanager
    def manager() -> Iterator[None]:
        yield

    with pytest.raises(errors.Overloaded), manager():
        raise errors.Overloaded("x")
