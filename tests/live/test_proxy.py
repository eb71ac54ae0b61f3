"""The fault proxy does to a TCP connection what it says, and nothing else."""

import asyncio
import socket
from contextlib import asynccontextmanager

import pytest

from tour.proxy import FaultProxy, ThreadedFaultProxy

pytestmark = pytest.mark.live

SOON = 0.3


class EchoServer:
    """Echoes bytes, and remembers how its connections ended."""

    def __init__(self):
        self.port = 0
        self.ends = []
        self.open = []

    async def serve(self, reader, writer):
        self.open.append(writer)
        try:
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
            self.ends.append("fin")
        except ConnectionResetError:
            self.ends.append("rst")
        finally:
            writer.close()


@asynccontextmanager
async def echo_server():
    echo = EchoServer()
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    echo.port = server.sockets[0].getsockname()[1]
    try:
        yield echo
    finally:
        server.close()
        for writer in echo.open:
            writer.transport.abort()
        await until(lambda: len(echo.ends) == len(echo.open))


async def until(holds):
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0.01)


@pytest.fixture
async def echo():
    async with echo_server() as echo:
        yield echo


@pytest.fixture
async def proxy(echo):
    async with FaultProxy(echo.port) as proxy:
        yield proxy


async def connect(proxy):
    return await asyncio.open_connection("127.0.0.1", proxy.port)


async def says(reader, expected):
    return await asyncio.wait_for(reader.readexactly(len(expected)), 5) == expected


async def is_silent(reader):
    try:
        await asyncio.wait_for(reader.read(1), SOON)
    except TimeoutError:
        return True
    return False


async def test_a_good_link_passes_bytes_in_both_directions_and_then_the_end(proxy, echo):
    reader, writer = await connect(proxy)
    large = b"x" * 3_000_000

    writer.write(large)
    assert await says(reader, large)
    writer.write_eof()

    assert await asyncio.wait_for(reader.read(), 5) == b""
    assert echo.ends == ["fin"]
    await until(lambda: proxy.connections == 0)
    writer.close()


async def test_a_cut_resets_both_sides_and_serves_the_next(proxy, echo):
    reader, writer = await connect(proxy)
    writer.write(b"hello")
    assert await says(reader, b"hello")

    proxy.cut()

    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.read(), 5)
    await until(lambda: echo.ends == ["rst"])
    writer.close()
    reader, writer = await connect(proxy)
    writer.write(b"again")
    assert await says(reader, b"again")
    writer.close()


async def test_a_stalled_link_holds_bytes_until_it_is_resumed(proxy, echo):
    reader, writer = await connect(proxy)
    writer.write(b"1")
    assert await says(reader, b"1")

    proxy.stall()
    writer.write(b"2")
    assert await is_silent(reader)
    later_reader, later_writer = await connect(proxy)
    later_writer.write(b"later")
    assert await is_silent(later_reader)
    assert len(echo.open) == 1
    proxy.resume()

    assert await says(reader, b"2")
    assert await says(later_reader, b"later")
    writer.close()
    later_writer.close()


async def test_a_stalled_link_holds_the_end_as_well(proxy, echo):
    reader, writer = await connect(proxy)
    writer.write(b"1")
    assert await says(reader, b"1")

    proxy.stall()
    writer.transport.abort()
    await asyncio.sleep(SOON)
    assert echo.ends == []
    proxy.resume()

    await until(lambda: len(echo.ends) == 1)


async def test_a_dropping_link_tells_nobody_anything_even_when_it_is_good_again(proxy, echo):
    reader, writer = await connect(proxy)
    writer.write(b"1")
    assert await says(reader, b"1")

    proxy.drop()
    writer.write(b"2" * 3_000_000)
    await asyncio.wait_for(writer.drain(), 5)
    echo.open[0].transport.abort()
    proxy.resume()

    assert await is_silent(reader)
    fresh_reader, fresh_writer = await connect(proxy)
    fresh_writer.write(b"fresh")
    assert await says(fresh_reader, b"fresh")
    writer.close()
    fresh_writer.close()


async def test_a_refusing_proxy_closes_its_port_and_opens_the_same_again(proxy):
    reader, writer = await connect(proxy)
    port = proxy.port

    proxy.refuse()

    with pytest.raises(ConnectionRefusedError):
        await connect(proxy)
    writer.write(b"still")
    assert await says(reader, b"still")
    proxy.resume()
    assert proxy.port == port
    fresh_reader, fresh_writer = await connect(proxy)
    fresh_writer.write(b"fresh")
    assert await says(fresh_reader, b"fresh")
    writer.close()
    fresh_writer.close()


async def test_a_client_of_a_server_that_is_down_is_reset(proxy):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        proxy.target_port = probe.getsockname()[1]

        reader, writer = await connect(proxy)

        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(), 5)
        writer.close()


async def test_the_threaded_proxy_serves_code_without_a_loop(echo):
    def talk():
        with ThreadedFaultProxy(echo.port) as proxy:
            with socket.create_connection(("127.0.0.1", proxy.port), 5) as client:
                client.sendall(b"hello")
                assert client.recv(5) == b"hello"
                proxy.stall()
                client.sendall(b"held")
                client.settimeout(SOON)
                with pytest.raises(TimeoutError):
                    client.recv(4)
                proxy.resume()
                client.settimeout(5)
                assert client.recv(4) == b"held"
                assert proxy.connections == 1
                proxy.cut()
                with pytest.raises(ConnectionResetError):
                    client.recv(1)
            proxy.refuse()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", proxy.port), 5)

    await asyncio.to_thread(talk)
