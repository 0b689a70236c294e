"""Which names look alike: entries must not pose as each other, nor as this project's baselines.

A small version of the skeletons of Unicode Technical Standard 39, section 4: two texts look alike
if they are the same once decomposed, with Cyrillic and Greek letters as the Latin ones that they
resemble, in one case, without accents, spaces and punctuation, and with 0 as o and 1 and i as l.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from functools import cache, lru_cache

from ssl_bench.leaderboard.card import SubmissionCard
from ssl_bench.models.registry import list_baselines, load_baseline

_PROJECT = ("ssl-bench", "this project")
_MIXED = "with object prior"

# Letters of Cyrillic, Greek and Latin that do not decompose, and what they resemble. Of both cases:
# a capital may resemble another letter than its small form does.
_RESEMBLED = {
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455": "aeopcyxijs",
    "\u04bb\u0501\u051b\u051d\u04cf\u043a\u043c\u0442\u043f\u0433": "hdqwlkmtnr",
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422": "ABEKMHOPCT",
    "\u0423\u0425\u0406\u0408\u0405\u04ae\u050c\u051a\u051c\u04c0": "YXIJSYGQWl",
    "\u03b1\u03bf\u03bd\u03c1\u03b9\u03ba\u03c5\u03c4\u03c7\u03f2": "aovpikutxc",
    "\u03b3\u03c9\u03b7\u03f3\u03f9\u037f": "ywnjCJ",
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d": "ABEZHIKMN",
    "\u039f\u03a1\u03a4\u03a5\u03a7": "OPTYX",
    "\u0131\u0251\u0261\u01c0\u0237\u0142\u0141\u00f8\u00d8": "iagljlLoO",
}
_LOOKS = str.maketrans("".join(_RESEMBLED), "".join(_RESEMBLED.values()))
_ONE_OF = str.maketrans("01i|", "olll")
# Accents; format and other invisible signs; spaces; dashes and other punctuation.
_WITHOUT = frozenset({"Mn", "Me", "Mc", "Cf", "Cc", "Zs", "Zl", "Zp"})


@lru_cache(maxsize=4096)
def skeleton(text: str) -> str:
    r"""What is left of a text for a reader who looks at it briefly.

    Examples
    --------
    >>> skeleton("EZ-VSL") == skeleton("\u0415Z VSL") == skeleton("ez_vs1")
    True
    >>> skeleton("EZ-VSL+") == skeleton("EZ-VSL")
    False
    """
    plain = unicodedata.normalize("NFKD", text).translate(_LOOKS)
    plain = unicodedata.normalize("NFKD", plain.casefold()).translate(_LOOKS)
    return "".join(sign for sign in plain.translate(_ONE_OF) if not _is_left_out(sign))


def posing(card: SubmissionCard) -> list[str]:
    """Where a submitter's card poses as this project, as sentences without a full stop."""
    found = []
    own = skeleton(card.name)
    for reserved, title in _reserved().items():
        if own == reserved or own.startswith(reserved + skeleton(_MIXED)):
            found.append(
                f"its name looks like that of the baseline {title!r}; say whose version it is, "
                f"such as '{title} (retrained by us)'"
            )
    if any(skeleton(name) in skeleton(author) for author in card.authors for name in _PROJECT):
        found.append("an author looks like this project, which is author of its baselines only")
    return found


def posing_as_another(own: SubmissionCard, other: SubmissionCard, *, together: bool) -> bool:
    """Whether a reader would take the entries of two cards for the same.

    Parameters
    ----------
    own, other
        Their cards.
    together
        Whether they are entries of one protocol. In different ones, the same name of the same
        authors is the same model.
    """
    if own.baseline is not None and other.baseline is not None:
        return False
    if skeleton(own.name) != skeleton(other.name):
        return False
    return together or (own.name, own.authors) != (other.name, other.authors)


@cache
def _reserved() -> Mapping[str, str]:
    """Titles of baselines that ship, by skeletons of titles and of names."""
    titles = {name: load_baseline(name).card.title for name in list_baselines()}
    return {skeleton(text): title for name, title in titles.items() for text in (name, title)}


def _is_left_out(sign: str) -> bool:
    # "+" and "*" tell versions of a model apart.
    kind = unicodedata.category(sign)
    return kind in _WITHOUT or (kind.startswith("P") and sign != "*")
