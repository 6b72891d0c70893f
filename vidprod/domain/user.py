"""A user: for now there is one, the owner, to whom every row belongs."""

import msgspec

OWNER_ID = "usr_00000000000000000000000000"  # the row is there from the beginning; the password comes with the setup
MAX_NAME = 80  # characters


class User(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `user`. Times are unix milliseconds."""

    id: str
    name: str
    password: str | None = None  # argon2id, as the library writes it; None: nobody has set one up
    password_at: int | None = None
    totp: bytes | None = None  # the authenticator's secret, sealed
    totp_at: int | None = None  # since when its codes are asked for; None: not confirmed
    created_at: int

    @property
    def asks_for_code(self) -> bool:
        return self.totp_at is not None
