"""A few values of the whole installation, by name."""

from typing import Any

import msgspec

from vidprod.domain.backup import Standing
from vidprod.store.sqlite.table import Table, to_json


class Facts(Table):
    """The rows of `fact`.

    publishing_paused_at: unix ms since when nothing is published anywhere, or None.
    publishing_held: `domain.held.Held`, or None.
    backup: `domain.backup.Standing` of the nightly backups.
    """

    def get(self, name: str) -> Any:
        """None where it was never set."""
        value = self._value("select value from fact where name = :name", name=name)
        return None if value is None else msgspec.json.decode(value)

    def backup(self) -> Standing | None:
        """How nightly backups stand; None: none was ever to be made."""
        found = self.get("backup")
        return None if found is None else msgspec.convert(found, Standing)

    def set_backup(self, standing: Standing) -> None:
        self.set("backup", msgspec.to_builtins(standing))

    def set(self, name: str, value: Any) -> None:
        self._run(
            "insert into fact (name, value) values (:name, :value) on conflict do update set value = :value",
            name=name,
            value=to_json(value),
        )
        self._outcome.publishing = True
