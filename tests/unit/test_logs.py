"""The end of a log: bounded, without escapes and secrets, the same when it is taken twice."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.spec.logs import BYTES, HIDDEN, LINES, tail

PIECES = st.sampled_from(
    [
        *("epoch 3: miou 0.41", "\n", "\r", "\r\n", "\t", "\x1b[31m", "\x1b]0;title\x07", "\x1b"),
        *("\0", "ü", "路", "\u202e", "\x9b", "a" * 3000, "://u:p@h/", "\ud800"),
    ]
)


@given(st.lists(PIECES, max_size=60).map("".join), st.booleans())
def test_a_tail_is_bounded_and_nothing_but_text(text: str, is_cut: bool) -> None:
    """Whatever a trainer prints: valid UTF-8 within both bounds, no control character."""
    found = tail(text, is_cut=is_cut)
    assert len(found.encode("utf-8")) <= BYTES
    assert len(found.splitlines()) <= LINES
    assert not [c for c in found if unicodedata.category(c) in {"Cc", "Cs"} and c not in "\n\t"]
    assert tail(found) == found


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("plain\nlines\n", "plain\nlines\n"),
        ("\x1b[1;31merror\x1b[0m: bad", "error: bad"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\ here", "link here"),
        ("\x1b]never ended\nnext line\n", "\nnext line\n"),
        ("10 %\r50 %\r100 %\r\ndone\n", "100 %\ndone\n"),
        ("working\r", "working"),
        ("nul\0 and bell\x07", "nul and bell"),
        ("GET https://me:hush@hub.example/w.pt", f"GET https://{HIDDEN}@hub.example/w.pt"),
        ("GET https://ghp_hush@hub.example/w.pt", f"GET https://{HIDDEN}@hub.example/w.pt"),
        ("", ""),
    ],
)
def test_what_a_terminal_would_obey_is_left_out(printed: str, shown: str) -> None:
    """Colours, titles, progress bars and control characters; what they draw stays."""
    assert tail(printed) == shown


def test_secrets_are_hidden() -> None:
    """However a secret is coloured, and the longer one first where one is in another."""
    secrets = ["s3cr3t-token", "s3cr3t", "me"]
    said = "with s3cr3t-token, s3\x1b[1mcr3t and me"
    assert tail(said, secrets=secrets) == f"with {HIDDEN}, {HIDDEN} and me"


def test_the_last_lines_are_kept_whole() -> None:
    """Of many lines the last 200; of long ones as many as fit; of one endless line its end."""
    assert tail("".join(f"{n}\n" for n in range(500))) == "".join(f"{n}\n" for n in range(300, 500))
    assert tail(f"{'a' * 10_000}\n{'b' * 10_000}\n") == f"{'b' * 10_000}\n"
    assert tail("ü" * 20_000) == "ü" * (BYTES // 2)
    assert tail("alf a line\nnext\n", is_cut=True) == "next\n"
