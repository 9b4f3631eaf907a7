from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import TYPE_CHECKING

import aiohttp
import pytest

from tests.support import leaks
from tests.support.leaks import no_new_threads, no_open_sockets, wait_until
from tests.support.wire import WireServer

if TYPE_CHECKING:
    from tests.support.wire import Exchange

nothing_left = leaks.nothing_left


def say_ok(exchange: Exchange) -> None:
    exchange.reply(json={"code": 0})


def test_lasting_thread_is_reported() -> None:
    done = threading.Event()
    thread = threading.Thread(target=done.wait, name="lasting")
    with pytest.raises(AssertionError, match="threads left: lasting"), no_new_threads(timeout=0.05):
        thread.start()
    done.set()
    thread.join()


def test_ending_thread_is_waited_for() -> None:
    done = threading.Event()
    with no_new_threads():
        thread = threading.Thread(target=done.wait)
        thread.start()
        timer = threading.Timer(0.05, done.set)
        timer.start()
    assert not thread.is_alive()


def test_open_socket_is_reported_with_its_address() -> None:
    with socket.socket() as before:
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        with pytest.raises(AssertionError, match=rf"sockets left: .*{port}"), no_open_sockets(timeout=0.05):
            client = socket.create_connection(("127.0.0.1", port))
        client.close()
        assert before.fileno() >= 0
        with pytest.raises(AssertionError, match="-> nobody"), no_open_sockets(timeout=0.05):
            unbound = socket.socket()
        unbound.close()
        listener.close()


def test_closed_and_local_sockets_are_not_reported() -> None:
    with no_open_sockets(timeout=0.05):
        socket.create_server(("127.0.0.1", 0)).close()
        left, right = socket.socketpair()
    left.close()
    right.close()


def test_own_failure_is_not_hidden() -> None:
    with contextlib.ExitStack() as opened:

        def leak_and_fail() -> None:
            with no_open_sockets(timeout=0.05):
                opened.enter_context(socket.socket())
                raise KeyError

        with pytest.raises(KeyError):
            leak_and_fail()


async def test_session_left_open_on_a_loop_is_reported() -> None:
    async def leave_open() -> None:
        async with no_open_sockets(timeout=0.05), session.get(server.base_url) as reply:
            await reply.read()

    with WireServer(say_ok) as server:
        async with aiohttp.ClientSession() as session:
            with pytest.raises(AssertionError, match="sockets left"):
                await leave_open()


async def test_session_closed_on_a_loop_passes() -> None:
    with WireServer(say_ok) as server:
        async with (
            no_open_sockets(),
            no_new_threads(),
            aiohttp.ClientSession() as session,
            session.get(server.base_url) as reply,
        ):
            await reply.read()


@pytest.mark.usefixtures("nothing_left")
async def test_fixture_around_an_async_test() -> None:
    with WireServer(say_ok) as server:
        async with aiohttp.ClientSession() as session, session.get(server.base_url) as reply:
            assert await reply.json() == {"code": 0}


@pytest.mark.usefixtures("nothing_left")
def test_fixture_around_a_plain_test() -> None:
    socket.create_server(("127.0.0.1", 0)).close()


def test_wait_until() -> None:
    assert wait_until(lambda: True, timeout=0)
    assert not wait_until(lambda: False, timeout=0.02)
    event = threading.Event()
    timer = threading.Timer(0.02, event.set)
    timer.start()
    assert wait_until(event.is_set)
    timer.join()


async def test_waiting_lets_the_loop_run() -> None:
    opened = socket.create_server(("127.0.0.1", 0))
    opened.close()
    async with no_open_sockets():
        late = socket.socket()
        asyncio.get_running_loop().call_later(0.02, late.close)
