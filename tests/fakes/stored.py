"""What Redis keeps, in memory: the model catalogue, stored answers, and a store whose health is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class FakeModelCatalogue:
    """Fits ports.ModelCatalogue."""

    def __init__(self) -> None:
        self.models_by_account: dict[str, Sequence[str]] = {}

    async def load(self) -> Mapping[str, Sequence[str]]:
        return dict(self.models_by_account)

    async def save(self, models_by_account: Mapping[str, Sequence[str]]) -> None:
        self.models_by_account.update({name: list(models) for name, models in models_by_account.items()})


class FakeObjects:
    """Fits ports.Objects."""

    def __init__(self) -> None:
        self.bodies: dict[tuple[str, str, str], bytes] = {}

    async def save(self, kind: str, key_id: str, object_id: str, body: bytes) -> None:
        self.bodies[kind, key_id, object_id] = body

    async def load(self, kind: str, key_id: str, object_id: str) -> bytes | None:
        return self.bodies.get((kind, key_id, object_id))

    async def delete(self, kind: str, key_id: str, object_id: str) -> bool:
        return self.bodies.pop((kind, key_id, object_id), None) is not None


class FakeStoreHealth:
    """Fits ports.StoreHealth: says what it was told to say."""

    def __init__(self, trouble: str | None = None) -> None:
        self.trouble = trouble

    async def check(self) -> str | None:
        return self.trouble
