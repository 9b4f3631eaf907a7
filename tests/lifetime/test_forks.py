"""A forked child uses the client it inherits, on connections of its own, and leaves the parent's alone."""

from __future__ import annotations

import os

import pytest

from tests.core.scripts import answered, chat_server, in_turn
from tests.lifetime.scripts import run
from tests.support.sse import native_delta, terminator
from tests.support.wire import Exchange, WireServer

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")

#: Runs a function in a child, which ends without the parent's `finally` blocks, as those of multiprocessing do.
FORK = """
def fork(job):
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status = 1
    try:
        job()
        status = 0
    finally:
        os._exit(status)
"""


def test_a_child_opens_its_own_connections() -> None:
    with WireServer(chat_server(answered())) as server:
        run(
            server.base_url,
            f"""
            {FORK.replace(chr(10), chr(10) + " " * 12)}
            client = RAGFlowClient(URL, KEY, timeout=5)
            ask = lambda: client.ask("q", **QUESTION)
            ask()
            assert fork(ask) == 0
            ask()
            """,
        )
        assert [request.connection for request in server.requests] == [1, 2, 1]


def test_a_callers_session_too() -> None:
    with WireServer(chat_server(answered())) as server:
        run(
            server.base_url,
            f"""
            import requests
            {FORK.replace(chr(10), chr(10) + " " * 12)}
            client = RAGFlowClient(URL, KEY, timeout=5, session=requests.Session())
            ask = lambda: client.ask("q", **QUESTION)
            ask()
            assert fork(ask) == 0
            ask()
            """,
        )
        assert [request.connection for request in server.requests] == [1, 2, 1]


def test_a_callers_session_with_an_adapter_of_its_own_opens_its_own_connections() -> None:
    """The recipe for an SSL context: an adapter with an attribute that `HTTPAdapter` does not pickle."""
    with WireServer(chat_server(answered())) as server:
        run(
            server.base_url,
            f"""
            import requests, requests.adapters, ssl
            {FORK.replace(chr(10), chr(10) + " " * 12)}
            class ContextAdapter(requests.adapters.HTTPAdapter):
                def __init__(self, ssl_context):
                    self.ssl_context = ssl_context
                    super().__init__()
                def init_poolmanager(self, *args, **kwargs):
                    super().init_poolmanager(*args, ssl_context=self.ssl_context, **kwargs)
            session = requests.Session()
            session.mount("http://", ContextAdapter(ssl.create_default_context()))
            client = RAGFlowClient(URL, KEY, timeout=5, session=session)
            other = RAGFlowClient(URL, KEY, timeout=5)
            ask = lambda: [one.ask("q", **QUESTION) for one in (client, other)]
            ask()
            assert fork(ask) == 0
            ask()
            """,
        )
        assert [request.connection for request in server.requests] == [1, 2, 3, 4, 1, 2]


@pytest.mark.parametrize("left", ["stream.close()", "globals().pop('stream')", "pass"])
def test_an_open_stream_is_the_parents(left: str) -> None:
    """A child may close or drop it, and ask in its session; the parent reads on."""
    with WireServer(chat_server(in_turn(_slowly, answered(), answered()))) as server:
        server_said, _ = run(
            server.base_url,
            f"""
            {FORK.replace(chr(10), chr(10) + " " * 12)}
            client = RAGFlowClient(URL, KEY, timeout=5)
            stream = client.stream("q", **QUESTION)
            next(stream)
            def job():
                {left}
                assert client.ask("q", **QUESTION).text == "Because."
                assert client._settings.session_locks.queues == {{}}
            assert fork(job) == 0
            list(stream)
            print(stream.answer.text)
            """,
        )
        assert server_said.strip() == "one two"


def _slowly(exchange: Exchange) -> None:
    """An answer that goes on when another connection has come, which is the child's."""
    exchange.start_stream()
    exchange.send(native_delta("one "))
    exchange.wait_closed(0.3)  # the child's close must not reach here
    exchange.send(native_delta("two"))
    exchange.send(terminator())
    exchange.end()


def test_forks_while_threads_ask() -> None:
    """Whatever locks other threads hold at the moment of a fork, the child is not blocked by them."""
    with WireServer(chat_server(answered())) as server:
        run(
            server.base_url,
            f"""
            {FORK.replace(chr(10), chr(10) + " " * 12)}
            client = RAGFlowClient(URL, KEY, timeout=5)
            client.ask("q", chat_id="c", session_id="s0")  # a child forked within a first import waits for it for ever
            sys.setswitchinterval(1e-5)
            done = threading.Event()
            def work(number):
                while not done.is_set():
                    client.ask("q", chat_id="c", session_id=f"s{{number % 2}}")
            threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
            for thread in threads:
                thread.start()
            failed = [status for _ in range(15) if (status := fork(lambda: client.ask("q", chat_id="c", session_id="s0")))]
            done.set()
            for thread in threads:
                thread.join()
            assert not failed, failed
            """,
        )


def test_async_clients_in_parent_and_child() -> None:
    with WireServer(chat_server(answered())) as server:
        run(
            server.base_url,
            f"""
            import gc
            {FORK.replace(chr(10), chr(10) + " " * 12)}
            client = AsyncRAGFlowClient(URL, KEY, timeout=5)
            async def ask():
                assert (await client.ask("q", **QUESTION)).text == "Because."
            async def child():
                await ask()
                await client.aclose()
            def job():
                asyncio.run(child())
                gc.collect()
            with asyncio.Runner() as runner:
                runner.run(ask())
                assert fork(job) == 0
                runner.run(ask())
                runner.run(client.aclose())
            """,
        )
        assert [request.connection for request in server.requests] == [1, 2, 1]
