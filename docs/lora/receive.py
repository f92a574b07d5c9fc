"""Receive one packet with a photograph and show it at once; NumPy and Pillow alone are needed.

    python docs/lora/receive.py received.sgc

Writes the file and its preview, `received.png`. `sgc decompress received.sgc` draws it, here or on another machine.
"""

import argparse
import base64
import socket
from pathlib import Path

from sgc_diffusion import BitstreamError, decode
from sgc_diffusion.synthesis.preview import preview

PACKET_BYTES = 176
MAGIC = b"SGC"


def main() -> None:
    """Wait for a packet, check it, keep it, show it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--port", type=int, default=8600)
    parser.add_argument("--timeout", type=float, help="give up after so many seconds")
    arguments = parser.parse_args()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as radio:
        radio.bind(("127.0.0.1", arguments.port))
        radio.settimeout(arguments.timeout)
        print("listening", flush=True)
        packet = radio.recv(PACKET_BYTES)
    try:
        data = packet if packet.startswith(MAGIC) else base64.b64decode(packet, validate=True)
        payload = decode(data)
    except (BitstreamError, ValueError) as error:
        raise SystemExit(f"the packet was damaged on its way: {error}") from error
    arguments.file.write_bytes(data)
    preview(payload, len(data)).save(arguments.file.with_suffix(".png"))
    print(f"received {len(packet)} bytes: {payload.width}x{payload.height}, {', '.join(payload.labels.shares)}")


if __name__ == "__main__":
    main()
