"""`step` runs a coroutine up to its first wait, and what is left of it can be awaited, on any event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import uvloop

from inlive_banner.channel.driving import step

LOOPS = pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])


def test_step_of_a_coroutine_that_never_waits_runs_it_whole():
    done = []

    async def work() -> None:
        done.append(1)

    assert step(work()) is None
    assert done == [1]


def test_step_of_a_coroutine_that_raises_at_once_raises():
    async def work() -> None:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        step(work())


@LOOPS
@pytest.mark.parametrize("waits", ["sleep0", "event", "timer", "thread"])
def test_step_of_a_coroutine_that_waits_goes_on_when_awaited(loop: Callable[[], asyncio.AbstractEventLoop], waits: str):
    async def main() -> list[str]:
        done: list[str] = []
        event = asyncio.Event()

        async def work() -> None:
            done.append("begun")
            match waits:
                case "sleep0":
                    await asyncio.sleep(0)
                case "event":
                    await event.wait()
                case "timer":
                    await asyncio.sleep(0.001)
                case "thread":
                    await asyncio.get_running_loop().run_in_executor(None, done.append, "thread")
            done.append("waited once")
            await asyncio.sleep(0)
            done.append("ended")

        rest = step(work())
        assert rest is not None
        assert done[0] == "begun"
        assert "waited once" not in done
        event.set()
        await asyncio.create_task(_await(rest))
        return done

    with asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(main())[-2:] == ["waited once", "ended"]


@LOOPS
def test_step_of_a_wait_that_ended_meanwhile_goes_on(loop: Callable[[], asyncio.AbstractEventLoop]):
    async def main() -> str:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        got: list[str] = []

        async def work() -> None:
            got.append(await future)

        rest = step(work())
        future.set_result("early")
        await asyncio.sleep(0)
        assert rest is not None
        await rest
        return got[0]

    with asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(main()) == "early"


@LOOPS
def test_suspended_when_cancelled_cancels_the_coroutine(loop: Callable[[], asyncio.AbstractEventLoop]):
    async def main() -> list[str]:
        done = []

        async def work() -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                done.append("cancelled")
                raise
            finally:
                done.append("cleaned up")

        rest = step(work())
        assert rest is not None
        task = asyncio.create_task(_await(rest))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return done

    with asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(main()) == ["cancelled", "cleaned up"]


@LOOPS
def test_suspended_coroutine_that_survives_a_fault_goes_on(loop: Callable[[], asyncio.AbstractEventLoop]):
    async def main() -> list[str]:
        done = []
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def work() -> None:
            try:
                await future
            except ValueError as error:
                done.append(str(error))
            await asyncio.sleep(0)
            done.append("ended")

        rest = step(work())
        assert rest is not None
        future.set_exception(ValueError("broken"))
        await rest
        return done

    with asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(main()) == ["broken", "ended"]


@LOOPS
def test_suspended_coroutine_that_raises_later_raises_where_it_is_awaited(
    loop: Callable[[], asyncio.AbstractEventLoop],
):
    async def main() -> None:
        async def work() -> None:
            await asyncio.sleep(0)
            raise OSError("gone")

        rest = step(work())
        assert rest is not None
        with pytest.raises(OSError, match="gone"):
            await rest

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(main())


async def _await(rest: object) -> None:
    await rest  # type: ignore[misc]
