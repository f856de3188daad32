"""Damaged copies of files."""

from hypothesis import strategies as st

# What parsers have stumbled over: large and negative sizes, ends of strings, empty places.
NASTY = [b"\0", b"\xff" * 4, b"\xff" * 10, b"\x7f\xff\xff\xff", b"-1", b"0", b"4294967296"]
NASTY += [b"9" * 30, b"1e400", b"nan", b"\n", b"'", b"%", b"[(", b"{" * 40, b"\xe2\x80\xae"]


def mutations(content):
    """Return a strategy for changed copies: bytes replaced, inserted, removed, parts repeated.

    Parameters
    ----------
    content : bytes
    """
    position = st.integers(0, len(content) - 1)
    change = st.tuples(
        st.sampled_from("=+-*"), position, position, st.binary(max_size=12) | st.sampled_from(NASTY)
    )

    def apply(changes):
        result = bytearray(content)
        for kind, start, length, new in changes:
            if kind == "=":
                result[start : start + len(new)] = new
            elif kind == "+":
                result[start:start] = new
            elif kind == "-":
                del result[start : start + length % 9]
            else:
                result[start:start] = result[start : start + length]
        return bytes(result)

    return st.lists(change, min_size=1, max_size=3).map(apply)
