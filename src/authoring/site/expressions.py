"""Python's regular expressions as JavaScript reads them with the flag `u`: the same rule on both sides."""

from __future__ import annotations

WORD, SPACE = r"\p{L}\p{N}_", r"\t-\r\x1c-\x1f\x85\p{Z}"  # what Python's \w and \s are of Unicode
EDGE = f"(?:(?<=[{WORD}])(?![{WORD}])|(?<![{WORD}])(?=[{WORD}]))"
CLASSES = {"w": WORD, "d": r"\p{Nd}", "s": SPACE}
KEPT = frozenset("nrtfvux") | frozenset("^$\\.*+?()[]{}|/")  # escapes that mean the same there
END = r"(?=\n?(?![^]))"


def javascript(pattern: str) -> str:
    """Return a pattern for `new RegExp(…, "u")`; ValueError for what has no counterpart there."""
    out, place, inside = [], 0, False
    while place < len(pattern):
        char = pattern[place]
        if char == "\\":
            out.append(_escaped(pattern[place + 1], inside))
            place += 2
            continue
        if inside:
            inside = char != "]"
        elif char == "[":
            inside = True
            if pattern[place + 1 :].removeprefix("^").startswith("]"):
                raise ValueError(f"a bracket as a member of its class: {pattern}")
        elif pattern.startswith("(?", place) and pattern[place + 2] not in ":=!<":
            raise ValueError(f"{pattern[place : place + 4]} is Python's alone: {pattern}")
        elif char in ".$":
            char = r"[^\n]" if char == "." else END
        out.append(char)
        place += 1
    return "".join(out)


def _escaped(char: str, inside: bool) -> str:
    if char.lower() in CLASSES:
        if inside:
            if char.isupper():
                raise ValueError(f"\\{char} within a class")
            return CLASSES[char]
        return f"[{'^' * char.isupper()}{CLASSES[char.lower()]}]"
    if char == "b" and not inside:
        return EDGE
    if char in KEPT or (inside and char == "-"):
        return f"\\{char}"
    if char.isalnum():
        raise ValueError(f"\\{char} is Python's alone")
    return char
