"""Signals that end a program as Ctrl-C does."""

import signal


def interrupt_on_signals() -> None:
    """Make a kill or a closed terminal raise KeyboardInterrupt, as Ctrl-C does, so that the program ends its jobs and
    removes its temporary files. Signals that nohup ignores stay ignored. Only the main thread may call this."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    # A background job of a shell ignores SIGINT. Its own jobs would ignore it too, but SIGINT is used to stop them.
    signal.signal(signal.SIGINT, signal.default_int_handler)
