"""Values that machines and people have choked on."""

from hypothesis import strategies as st

MARK = "\x1e"

CHARACTERS = st.characters(codec=None, categories=None)  # lone surrogates, too
NASTY = (
    "", " ", "\x00", MARK, MARK * 2, "\ud83d", "\ufeff{}", "\u2028", "\u202e", "\x1b[31m", "%s%n",
    "{}", "null", "NaN", "\r\nERROR root: all is lost", "__class__", "_x", "../..", "'", '"',
)  # fmt: skip

texts = st.one_of(
    st.text(CHARACTERS, max_size=40),
    st.sampled_from(NASTY),
    st.builds(lambda text, times: text * times, st.sampled_from(NASTY), st.integers(2, 2000)),
)
binaries = st.binary(max_size=60)
integers = st.one_of(
    st.integers(-5, 5000),
    st.integers(),
    st.sampled_from([2**31, 2**53, 2**63, 2**64, 10**400, -(10**400)]),
)
numbers = st.one_of(integers, st.floats(), st.complex_numbers())
atoms = st.one_of(
    st.none(), st.booleans(), numbers, texts, binaries, st.binary(max_size=9).map(bytearray)
)
keys = st.one_of(texts, integers, st.none(), st.booleans(), binaries, st.tuples(integers))
anything = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(keys, inner, max_size=4),
        st.tuples(inner, inner),
        st.frozensets(keys, max_size=3),
    ),
    max_leaves=8,
)
colours = st.sampled_from(["async", "async", "async", "sync"])
