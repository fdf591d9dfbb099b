"""What a client may ask of the wire, and how long it may take."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds; what is beyond is answered with the status that is named, and the connection closed."""

    head: int = 32 * 1024
    """Request line and headers together, or what is between two pieces of a body: 431."""
    headers: int = 100
    """How many headers: 431."""
    target: int = 8 * 1024
    """Path and query: 414."""
    body: int = 32 * 1024 * 1024
    """413; before it is read, where its length is declared."""
    stranger_body: int = 64 * 1024
    """The same where tokens are asked for and none is sent that holds."""
    connections: int = 10_000
    """Open at one time; more wait in the kernel's queue."""
    pipelined: int = 16
    """Requests of one connection that wait for their turn; then no more is read from it."""
    head_within: float = 10.0
    """From a request's first byte to the end of its headers: 408."""
    body_pause: float = 20.0
    """Longest pause within a body: 408."""
    body_rate: float = 1_000.0
    """Least bytes a second of a body, on the whole, once `body_pause` has passed: 408."""
    idle: float = 75.0
    """Between two requests; then the connection is closed without a word."""
    write_pause: float = 30.0
    """How long a client may take nothing of its answer; then the connection is cut."""
    linger: float = 2.0
    """How long what a client sends behind its last answer is read and thrown away, so that it sees that answer."""
    look: float = 1.0
    """How often all connections are looked at: times are kept to within two of these, and never cut short."""


DEFAULT = Limits()
