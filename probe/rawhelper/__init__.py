"""A process of its own that sees single packets: scapy, one capability, and a pipe to its parent.

It is separate because scapy is GPL-2.0-only, slow to import and large, and because only a small,
plain program should ever hold CAP_NET_RAW. It listens and never sends; the kernel hands it nothing
but packets to and from the addresses that its parent named at the start (and what routers say of
those); after it has opened its one socket it has no privilege left; and it ends after a set time,
at the latest with its parent.
"""
