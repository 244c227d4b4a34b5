"""Asking one address over and over, against real sockets that answer whatever they like."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from streammonitor_operator.questions import BadAnswer, Question, Questions

LONGEST = 1000
NO_NEWS = b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\n\r\n'
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


class Server:
    """Answers each question with the next of some texts; closes the connection after an empty one.

    Attributes:
        asked: Every question, with the number of its connection.
    """

    def __init__(self, *answers: bytes) -> None:
        self._answers = list(answers)
        self._connections = 0
        self.asked: list[tuple[int, str]] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        number = self._connections
        with suppress(asyncio.IncompleteReadError):  # whoever asked does not listen any more
            while question := await reader.readuntil(b"\r\n\r\n") if self._answers else b"":
                self.asked.append((number, question.decode().splitlines()[0]))
                answer = self._answers.pop(0)
                writer.write(answer)
                whole = answer.startswith((OK[:12], NO_NEWS[:12])) and not answer.endswith(b"-")
                if not whole:
                    break
        writer.close()


@asynccontextmanager
async def asking(
    answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], object],
) -> AsyncIterator[Questions]:
    server = await asyncio.start_server(answer, "127.0.0.1", 0)  # type: ignore[arg-type]
    questions = Questions("127.0.0.1", server.sockets[0].getsockname()[1], LONGEST)
    async with server:
        yield questions
        questions.close()


async def test_questions_go_over_one_connection_as_long_as_it_holds() -> None:
    server = Server(OK, OK, OK)
    async with asking(server) as questions:
        assert [await questions.get(f"/status?{n}", 30) for n in range(3)] == [b"hi"] * 3
    assert server.asked == [(1, f"GET /status?{n} HTTP/1.1") for n in range(3)]


@pytest.mark.parametrize(
    "last",
    [
        pytest.param(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), id="said"),
        pytest.param(OK.replace(b"1.1", b"1.0"), id="HTTP/1.0"),
    ],
)
async def test_a_connection_that_ends_with_an_answer_is_made_anew(last: bytes) -> None:
    server = Server(last, OK)
    async with asking(server) as questions:
        assert [await questions.get("/", 30) for _ in range(2)] == [b"hi"] * 2
    assert [number for number, _ in server.asked] == [1, 2]


async def test_a_connection_that_was_closed_without_a_word_is_made_anew() -> None:
    server = Server(OK, b"", OK)
    async with asking(server) as questions:
        assert [await questions.get("/", 30) for _ in range(2)] == [b"hi"] * 2
    assert [number for number, _ in server.asked] == [1, 1, 2]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", "answered 500"),
        (b"HTTP/1.1 200 OK\r\n\r\nhi", "how long"),
        (NO_NEWS, "answered 304"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", "how long"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "how long"),
        (OK.replace(b"2\r", b"1001\r"), "longer than 1000 bytes"),
        (OK.replace(b"2\r", b"9" * 5000 + b"\r"), "longer than 1000 bytes"),
        (OK + b"more", "longer than it says"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20000, "head"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "HTTP"),
    ],
)
async def test_what_is_no_answer_is_said(answer: bytes, said: str) -> None:
    server = Server(answer, OK)
    async with asking(server) as questions:
        with pytest.raises(BadAnswer, match=said):
            await questions.get("/", 30)
        assert await questions.get("/", 30) == b"hi"


async def test_an_answer_without_news_is_followed_by_the_next_question() -> None:
    server = Server(NO_NEWS, NO_NEWS, OK)
    numbers = iter(range(9))
    async with asking(server) as questions:
        said = await questions.news(lambda: Question(f"/{next(numbers)}", 30, known="1"))
    assert said == b"hi"
    assert server.asked == [(1, f"GET /{n} HTTP/1.1") for n in range(3)]


async def test_a_connection_that_ends_while_there_is_no_news_is_made_anew() -> None:
    server = Server(NO_NEWS, b"", OK)
    async with asking(server) as questions:
        assert await questions.news(lambda: Question("/", 30, known="1")) == b"hi"
    assert [number for number, _ in server.asked] == [1, 1, 2]


async def test_one_that_falls_silent_after_it_had_no_news_is_given_up() -> None:
    closed = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(NO_NEWS)
        await reader.read()
        writer.close()
        await writer.wait_closed()
        closed.set()

    async with asking(silent) as questions:
        with pytest.raises(TimeoutError):
            await questions.news(lambda: Question("/", 0.2, known="1"))
        await asyncio.wait_for(closed.wait(), 30)


async def test_an_answer_in_pieces_is_put_together() -> None:
    async def piecemeal(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in OK:
            writer.write(bytes([byte]))
            await writer.drain()
        writer.close()

    async with asking(piecemeal) as questions:
        assert await questions.get("/", 30) == b"hi"


async def test_half_an_answer_is_none() -> None:
    server = Server(OK.replace(b"2\r", b"9\r") + b"-", OK)
    async with asking(server) as questions:
        with pytest.raises(ConnectionResetError):
            await questions.get("/", 30)
    assert len(server.asked) == 1, "it may be told twice what it began to answer"


async def test_an_address_where_nobody_listens_refuses() -> None:
    async with asking(Server()) as questions:
        pass
    with pytest.raises(ConnectionRefusedError):
        await questions.get("/", 30)


async def test_one_that_says_nothing_is_given_up_and_heard_no_more() -> None:
    closed = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.read() == b""
        closed.set()
        writer.close()

    async with asking(silent) as questions:
        with pytest.raises(TimeoutError):
            await questions.get("/", 0.05)
        await asyncio.wait_for(closed.wait(), 30)
