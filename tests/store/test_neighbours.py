"""Server processes on one PostgreSQL hear of each other's changes, and few words are made."""

import queue
from collections.abc import Iterator
from contextlib import ExitStack, closing

import psycopg
import pytest
from sqlalchemy import make_url

from tuner.store import neighbours
from tuner.store.engine import Database
from tuner.store.neighbours import CHANNEL, Neighbours

Heard = queue.Queue[tuple[str, int | None]]
LONG = 30.0


class Pair:
    """Two processes' ends, and what each has heard."""

    def __init__(self, url: str) -> None:
        self.stack = ExitStack()
        self.ends: list[Neighbours] = []
        self.heard: list[Heard] = []
        for _ in range(2):
            db = Database(url)
            self.stack.callback(db.dispose)
            end, heard = Neighbours(db, retry=0.05), Heard()
            self.stack.enter_context(end.around(lambda *word, heard=heard: heard.put(word)))
            self.ends.append(end)
            self.heard.append(heard)

    def meet(self) -> None:
        """Return once each has heard the other, whatever was said before."""
        for end, heard in zip(self.ends, reversed(self.heard), strict=True):
            while True:
                end.say("hello", 0)
                try:
                    while heard.get(timeout=0.2)[0] != "hello":
                        pass
                    break
                except queue.Empty:
                    continue


@pytest.fixture
def pair(postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    """Two that listen, and say at once what there is to say."""
    monkeypatch.setattr(neighbours, "MOMENT_SECONDS", 0.05)
    made = Pair(postgresql_url)
    with made.stack:
        made.meet()
        yield made


def heard_of(heard: Heard, topic: str) -> tuple[str, int | None]:
    """The next word about a topic."""
    while True:
        word = heard.get(timeout=LONG)
        if word[0] == topic:
            return word


def until(heard: Heard, topic: str) -> list[tuple[str, int | None]]:
    """What is heard before a word about a topic."""
    return [*iter(lambda: heard.get(timeout=LONG), (topic, None))]


def test_a_word_reaches_the_others_and_not_oneself(pair: Pair) -> None:
    """One says something of two topics, and only the other hears both."""
    pair.ends[0].say("work", 8)
    pair.ends[0].say("changes")

    assert heard_of(pair.heard[1], "work") == ("work", 8)
    assert heard_of(pair.heard[1], "changes") == ("changes", None)
    pair.meet()  # so that all that was said has been heard
    assert [word for word in pair.heard[0].queue if word[0] != "hello"] == []


@pytest.mark.parametrize(("said", "told"), [((8, 8, 1), 1700), ((8, None, 1), None)])
def test_words_of_one_moment_are_said_together(
    postgresql_url: str, said: tuple[int | None, ...], told: int | None
) -> None:
    """As many look as all words together would have let look; everyone, if one would have."""
    made = Pair(postgresql_url)
    with made.stack:
        made.meet()
        for most in said * 100:
            made.ends[0].say("work", most)
        made.ends[0].say("end")
        words = [most for topic, most in until(made.heard[1], "end") if topic == "work"]

    assert 1 <= len(words) <= 2, "they came in one moment, or about the end of one"
    assert told == (None if None in words else sum(most for most in words if most is not None))


def test_a_lost_connection_is_made_again(pair: Pair, postgresql_url: str) -> None:
    """PostgreSQL ends both; after a while each hears the other as before."""
    plain = make_url(postgresql_url).set(drivername="postgresql").render_as_string(False)
    with closing(psycopg.connect(plain, autocommit=True)) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    pair.meet()
    pair.ends[1].say("work", 3)

    assert heard_of(pair.heard[0], "work") == ("work", 3)


def test_what_is_not_understood_is_passed_over(pair: Pair, postgresql_url: str) -> None:
    """A word of a later release, or of somebody else, ends nothing."""
    plain = make_url(postgresql_url).set(drivername="postgresql").render_as_string(False)
    with closing(psycopg.connect(plain, autocommit=True)) as other:
        for word in ("", "work", "work many", "work -1", '{"work": 1}', "work 8 soon"):
            other.execute("SELECT pg_notify(%s, %s)", (CHANNEL, word))
        other.execute("SELECT pg_notify(%s, %s)", (CHANNEL, "work 5"))

    assert [heard_of(heard, "work") for heard in pair.heard] == [("work", 5)] * 2


def test_sqlite_has_no_neighbours(sqlite_url: str) -> None:
    """There is one process: nothing is said, and nobody listens."""
    db = Database(sqlite_url)
    heard = Heard()
    alone = Neighbours(db)
    with alone.around(lambda *word: heard.put(word)):
        alone.say("work")
    db.dispose()

    assert heard.empty()
