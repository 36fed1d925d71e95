"""A separate process that captures packets: scapy, one capability, and pipes to its parent.

It is separate because scapy is GPL-2.0-only, slow to import and large, and because only a small
program should hold CAP_NET_RAW. It captures and does not send. The kernel passes it only packets to
and from the addresses that the parent named at the start, and ICMP errors about them. After opening
its socket it drops all privileges. It ends after a set time, or with its parent.
"""
