"""Texts that are not to be read where they are shown."""

__all__ = ["Hidden"]


class Hidden(str):
    """Be a secret or a token, a `str` as any other, whose `repr` shows its beginning only.

    pytest shows the `repr` of a failing test's arguments and variables, and CI keeps what it shows.
    """

    def __repr__(self) -> str:
        return f"'{self[:4]}…' ({len(self)} characters)" if len(self) > 8 else "'…'"
