"""What a failed attempt said, short enough for a line."""

_TRACEBACK = "Traceback (most recent call last)"


def gist(error: str, length: int = 300) -> str:
    """The message of an error text, without its traceback, in one line of that length at most."""
    lines = error.strip().splitlines()
    if lines and lines[0].startswith(_TRACEBACK):
        message = lines[-1]  # Python puts the message last
    else:
        message = error.strip().split("\n\n", 1)[0]
    text = " ".join(message.split())
    return text if len(text) <= length else f"{text[: length - 1].rstrip()}…"
