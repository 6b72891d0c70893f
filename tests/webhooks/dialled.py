"""In the place of the network and of the resolver: nothing is reached, and whom it was to be is remembered."""

import socket

from vidprod.webhooks.egress import Found, SocketAddress


class Dialled(list[str]):
    """Takes the place of the network: remembers whom it was to reach."""

    async def __call__(self, family: socket.AddressFamily, address: SocketAddress) -> socket.socket:
        self.append(address[0])
        raise ConnectionRefusedError(111, "Connection refused")


def found(*addresses: str, port: int = 443) -> list[Found]:
    """As a resolver answers."""
    made: list[Found] = []
    for address in addresses:
        six = ":" in address
        made.append((socket.AF_INET6, (address, port, 0, 0)) if six else (socket.AF_INET, (address, port)))
    return made
