"""Secrets in addresses: what may be shown of an address, and what of it identifies work.

Pure. An address may carry a user and a password, `https://user:password@host/…`, or a signature:
`…?X-Amz-Signature=…` gives its reader the access that was signed. `redacted` is the one function
that removes them from any text: an error is made of redacted text (`tac.errors`), and whatever is
shown goes through `tac.plain`, which calls it. Secrets outside addresses are not found: which words
of a log are passwords cannot be known.

No expression here looks at one character more often than a fixed number of times: a parameter of
a task may be a hundred thousand characters long.
"""

from __future__ import annotations

import re

MARK = "***"
"""What replaces a secret."""

# A password is to have no "/", "?", "#" or quote in it, and people write them all the same: where
# what follows the colon is no port, everything up to the last "@" is taken for the password.
_USER = re.compile(
    r"""(?<=[\w+.-]://)(?:[^\s/"'?#]+|[^\s/@:"'\[{]*:(?!\d*(?:[^\w]|$))(?:(?!://)\S)*)@"""
)
# A message continues after an address: punctuation at the end of a word ends the query too.
_QUERY = re.compile(
    r"""(https?://(?:(?!://)[^\s"'?#])*\?)([^\s"'#]*[^\s"'#:;,.)])""", re.IGNORECASE
)

# The parameters by which AWS, Google, Azure and Alibaba sign, and those of other servers. A `key`
# is the key of an object as often as a secret: secrets are long.
_NAMES = (
    r"[\w.-]{0,40}(?:signature|token|secret|passw|credential|api[_-]?key|access[_-]?key)"
    r"[\w.-]{0,40}|sig|pwd|auth|authorization|hmac|(?:key|code)(?==[\w+=%.~-]{20})"
)
_SECRET = re.compile(rf"""([?&;#](?:{_NAMES})=)[^&;\s"'#]+""", re.IGNORECASE)
_SECRET_FRAGMENT = re.compile(rf"""#(?:{_NAMES})=[^\s"'#]*""", re.IGNORECASE)
_SIGNATURE = re.compile(r"[?&;](?:[\w.-]{0,40}signature|sig)=", re.IGNORECASE)
_OF_A_SIGNATURE = re.compile(
    r"[?&;](?:x-(?:amz|goog|oss)-[\w-]{1,40}|expires|policy|key-pair-id|awsaccesskeyid"
    r"|googleaccessid|ossaccesskeyid|s[eiprtv]|s[di][dp]|spr|sk[setv]|skoid|sktid|saoid|suoid|scid)"
    r"=[^&;]*",
    re.IGNORECASE,
)
"""How and until when something is signed, which is new with each signature."""


def redacted(text: str) -> str:
    """Return a text without what is secret in the addresses in it.

    That is a password with its user, of `http` a user alone too, which may be a token, and the
    whole query; and wherever it stands the value of a parameter such as `&token=`.
    """
    if "://" in text:
        text = _USER.sub(lambda found: f"{MARK}@" if _is_secret(found) else found[0], text)
        text = _QUERY.sub(rf"\1{MARK}", text)
    return _SECRET.sub(rf"\1{MARK}", text) if "=" in text else text


def holds_secret(text: str) -> bool:
    """Tell whether an address in a text has a password in it, or a signature, or another key."""
    if "://" not in text:
        return False
    queries = (f"?{found[2]}" for found in _QUERY.finditer(text))
    return (
        any(map(_is_secret, _USER.finditer(text)))
        or any(map(_SECRET.search, queries))
        or _SECRET_FRAGMENT.search(text) is not None
    )


def without_credentials(text: str) -> str:
    """Return a text whose addresses have neither passwords, with their users, nor signatures.

    It identifies the same work for every user and after every new signature. The rest of a query
    stays, since it is a part of what is asked for.
    """
    if "://" not in text:
        return text
    text = _USER.sub(lambda found: "" if _is_secret(found) else found[0], text)
    return _SECRET_FRAGMENT.sub("", _QUERY.sub(_unsigned, text))


def _is_secret(user: re.Match[str]) -> bool:
    before = user.string[max(0, user.start() - len("https://")) : user.start()].lower()
    return ":" in user[0] or before.endswith(("http://", "https://"))


def _unsigned(found: re.Match[str]) -> str:
    query = f"?{found[2]}"
    if _SIGNATURE.search(query):
        query = _OF_A_SIGNATURE.sub("", query)
    rest = _SECRET.sub("", query).lstrip("?&;")
    return f"{found[1]}{rest}" if rest else found[1].removesuffix("?")
