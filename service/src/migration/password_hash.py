"""What MySQL stores of a password, so that no statement carries the password itself.

The server's own logs replace passwords in `CREATE USER` and `ALTER USER`. Whether Aurora's audit
log does so is not documented. With a hash it does not matter.
https://dev.mysql.com/doc/refman/8.0/en/password-logging.html
https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/AuroraMySQL.Auditing.html
"""

from __future__ import annotations

import hashlib
import secrets
import string
from itertools import cycle, islice

from pymysql.cursors import Cursor

NATIVE, SHA2 = "mysql_native_password", "caching_sha2_password"

_SALT_LENGTH = 20
_ROUNDS = 5000
# The order in which SHA-crypt takes the bytes of its result, three for each four letters.
# https://www.akkadia.org/drepper/SHA-crypt.txt
_ORDER = tuple((i % 30, (i + 10) % 30, (i + 20) % 30) for i in (0, 21, 12, 3, 24, 15, 6, 27, 18, 9))
_LETTERS = "./" + string.digits + string.ascii_uppercase + string.ascii_lowercase


def identified(cursor: Cursor, password: str) -> tuple[str, str]:
    """An `IDENTIFIED` clause for a user with this password, and the value of its placeholder.

    It names the plugin that the server gives new users. MySQL 8.4 and later do not say which.
    """
    cursor.execute("SHOW VARIABLES LIKE 'default_authentication_plugin'")
    found = cursor.fetchone()
    plugin = NATIVE if found and found[1] == NATIVE else SHA2
    return f"IDENTIFIED WITH {plugin} AS %s", password_hash(password, plugin)


def password_hash(password: str, plugin: str) -> str:
    """What `IDENTIFIED WITH plugin AS` takes for a password.

    `plugin` is one of `NATIVE`, the default of Aurora MySQL 3, and `SHA2`, that of later versions.
    """
    if plugin == NATIVE:
        once = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
        return "*" + hashlib.sha1(once, usedforsecurity=False).hexdigest().upper()
    salt = "".join(secrets.choice(string.ascii_letters) for _ in range(_SALT_LENGTH))
    # The rounds in thousands.
    return f"$A${_ROUNDS // 1000:03}${salt}{sha256_crypt(password.encode(), salt.encode())}"


def sha256_crypt(password: bytes, salt: bytes) -> str:
    """The 43 letters of SHA-crypt with SHA-256 and 5,000 rounds."""
    between = _digest(password, salt, password)
    parts = [password, salt, _repeated(between, len(password))]
    length = len(password)
    while length:
        parts.append(between if length & 1 else password)
        length >>= 1
    result = _digest(*parts)
    own = _repeated(_digest(password * len(password)), len(password))
    salted = _repeated(_digest(salt * (16 + result[0])), len(salt))
    for turn in range(_ROUNDS):
        odd = turn % 2
        result = _digest(
            own if odd else result,
            salted if turn % 3 else b"",
            own if turn % 7 else b"",
            result if odd else own,
        )
    groups = [(result[a], result[b], result[c]) for a, b, c in _ORDER]
    letters = [_encoded(group, 4) for group in groups]
    return "".join([*letters, _encoded((0, result[31], result[30]), 3)])


def _digest(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def _repeated(text: bytes, length: int) -> bytes:
    return bytes(islice(cycle(text), length))


def _encoded(group: tuple[int, int, int], count: int) -> str:
    number = int.from_bytes(bytes(group), "big")
    return "".join(_LETTERS[number >> (6 * place) & 63] for place in range(count))
