"""SIGTERM and SIGINT as an event to wait for."""

import asyncio
import signal
import threading


def stop_on_signals(stop: asyncio.Event) -> None:
    """Set ``stop`` when the process is asked to end. Does nothing outside the main thread, where signals never come."""
    if threading.current_thread() is not threading.main_thread():
        return
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
