"""Checksums of numbers that people and banks give out: what looks like one and fails is something else."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from typing import Final

_IBAN_LENGTHS: Final = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28,
    "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
    "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22,
    "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
    "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18,
    "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24,
    "SI": 19, "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24,
    "XK": 20,
}  # fmt: skip
"""Characters of an IBAN by its country: the registry of ISO 13616."""
_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_NIF: Final = "TRWAGMYFPDXBNJZSQVHLCKE"


def digits(text: str) -> list[int]:
    """The digits in it."""
    return [int(character) for character in text if character.isdecimal()]


def luhn(text: str) -> bool:
    """ISO/IEC 7812: every second digit from the right is doubled."""
    numbers = digits(text)[::-1]
    total = sum(numbers[::2]) + sum(sum(divmod(2 * number, 10)) for number in numbers[1::2])
    return total % 10 == 0


def payment_card(text: str) -> bool:
    """13 to 19 digits of a known scheme, with their check digit."""
    numbers = digits(text)
    return 13 <= len(numbers) <= 19 and numbers[0] in (2, 3, 4, 5, 6) and len(set(numbers)) > 1 and luhn(text)


def iban(text: str) -> bool:
    """ISO 13616: the length of its country, and 1 modulo 97."""
    plain = re.sub(r"\s", "", text).upper()
    if _IBAN_LENGTHS.get(plain[:2]) != len(plain):
        return False
    return int("".join(str(int(character, 36)) for character in plain[4:] + plain[:4])) % 97 == 1


def us_ssn(text: str) -> bool:
    """Numbers that the Social Security Administration gives out."""
    area, group, serial = (int(part) for part in re.split(r"\D", text))
    return area not in (0, 666) and area < 900 and group != 0 and serial != 0


def ip_address(text: str) -> bool:
    """IPv4 or IPv6, as the standard library reads them."""
    if text in ("::", "0.0.0.0"):  # noqa: S104 - nobody's
        return False
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def bitcoin_address(text: str) -> bool:
    """Base58 with a checksum: two times SHA-256."""
    number = 0
    for character in text:
        number = number * 58 + _BASE58.index(character)
    try:
        raw = number.to_bytes(25, "big")
    except OverflowError:
        return False
    return hashlib.sha256(hashlib.sha256(raw[:-4]).digest()).digest()[:4] == raw[-4:]


def uk_nhs(text: str) -> bool:
    """Ten digits, 0 modulo 11 by their weights."""
    numbers = digits(text)
    return len(numbers) == 10 and sum(number * (10 - place) for place, number in enumerate(numbers)) % 11 == 0


def spanish_nif(text: str) -> bool:
    """Eight digits and the letter of their remainder modulo 23; X, Y and Z of foreigners are 0, 1 and 2."""
    plain = re.sub(r"\W", "", text).upper()
    number = plain[:-1].translate(str.maketrans("XYZ", "012"))
    return _NIF[int(number) % 23] == plain[-1]
