"""Which network addresses are public."""

import ipaddress

# They stand for IPv4 addresses (NAT64, 6to4, Teredo) and could lead into a private network.
_EMBEDDING = tuple(ipaddress.ip_network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32"))


def is_public(host: str) -> bool | None:
    """Whether a literal address is reachable from anywhere; one that stands for another counts as that, if it can be told.

    None: it is no address, though systems read more than addresses into a number (127.1, 2130706433).
    """
    try:
        ip = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped:
            ip = ip.ipv4_mapped
        elif any(ip in network for network in _EMBEDDING):
            return False
    return ip.is_global and not ip.is_multicast


def is_literal(host: str) -> bool:
    """Whether a host is connected to as it is written, without asking a name server; not all of these are addresses."""
    return ":" in host or host.replace(".", "").isdigit()
