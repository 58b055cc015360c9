"""Whether two heaps of rows are the same, whatever their order and number, without keeping either in memory."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b

from asyncservice.storage.tables import Value


@dataclass(slots=True)
class Fingerprint:
    """The sum of the digests of rows. Equal for equal heaps of rows, and for different ones never in practice."""

    total: int = 0
    rows: int = 0

    def add(self, key: str, values: Mapping[str, Value]) -> None:
        """Take a row into account."""
        text = f"{key} {sorted((name, str(value)) for name, value in values.items())}"
        self.total += int.from_bytes(blake2b(text.encode(), digest_size=16).digest())
        self.rows += 1

    def add_all(self, rows: Mapping[str, Mapping[str, Value]]) -> None:
        """Take rows into account, by their keys."""
        for key, values in rows.items():
            self.add(key, values)
