"""Randomness as an argument. The same seed throws the same ids, so a simulated run can be replayed."""

from __future__ import annotations

from typing import Protocol

URL_SAFE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


class Dice(Protocol):
    """A source of uniform bits: the operating system's in production, a seeded one in the simulator."""

    def bits(self, count: int) -> int:
        """A uniform integer in [0, 2**count)."""
        ...


def below(dice: Dice, limit: int) -> int:
    """A uniform integer in [0, limit); the bias of the modulo is under 2**-64."""
    assert limit > 0
    return dice.bits(limit.bit_length() + 64) % limit


def hex_id(dice: Dice, digits: int = 32) -> str:
    """`digits` lower-case hexadecimal digits, as in task and container-instance ids."""
    return f"{dice.bits(digits * 4):0{digits}x}"


def uuid(dice: Dice) -> str:
    """A version 4 UUID (RFC 9562, 5.4)."""
    raw = dice.bits(128) & ~(0xF << 76) | (4 << 76)
    raw = raw & ~(0x3 << 62) | (0x2 << 62)
    text = f"{raw:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def digits(dice: Dice, count: int) -> str:
    """`count` decimal digits, the first one not zero."""
    low = 10 ** (count - 1)
    return str(low + below(dice, 9 * low))


def letters(dice: Dice, count: int, alphabet: str = BASE32) -> str:
    """`count` symbols of `alphabet`."""
    return "".join(alphabet[below(dice, len(alphabet))] for _ in range(count))
