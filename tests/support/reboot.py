#!/usr/bin/env python3
"""Makes an ended tootfs's cache look as after a reboot: the boot id in the file `steady` becomes another one.

    reboot.py CACHE_FOLDER"""
import os
import sys

BOOT_AT, BOOT_BYTES, DIGEST_AT = 24, 40, 1112


def digest(data):
    value = 0x6c62272e07bb014262b821756295c58d
    for byte in data:
        value = ((value ^ byte) * (1 << 88 | 0x13b)) % (1 << 128)
    return value.to_bytes(16, "big")


def main():
    path = os.path.join(sys.argv[1], "steady")
    with open(path, "r+b") as file:
        data = bytearray(file.read())
        assert digest(data[:DIGEST_AT]) == data[DIGEST_AT:], "not a whole steady file"
        data[BOOT_AT:BOOT_AT + BOOT_BYTES] = b"another-boot".ljust(BOOT_BYTES, b"\0")
        data[DIGEST_AT:] = digest(data[:DIGEST_AT])
        file.seek(0)
        file.write(data)


main()
