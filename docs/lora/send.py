"""Fit a photograph into one LoRa packet and send it, here over a local UDP socket in place of the radio.

    python docs/lora/send.py photo.jpg [--base64]

A packet carries `PACKET_BYTES`. A radio module that takes text alone gets base64, which leaves three quarters of them.
"""

import argparse
import base64
import socket

from sgc_diffusion import SemanticCompressionPipeline

PACKET_BYTES = 176


def main() -> None:
    """Compress into a packet and send it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photograph")
    parser.add_argument("--base64", action="store_true", help="for a radio module that takes text alone")
    parser.add_argument("--port", type=int, default=8600)
    parser.add_argument("--pipeline", default="landscape-256")
    arguments = parser.parse_args()
    pipeline = SemanticCompressionPipeline.from_pretrained(arguments.pipeline)
    budget_bytes = PACKET_BYTES // 4 * 3 if arguments.base64 else PACKET_BYTES
    data = pipeline.compress(arguments.photograph, max_bytes=budget_bytes)
    packet = base64.b64encode(data) if arguments.base64 else data
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as radio:
        radio.sendto(packet, ("127.0.0.1", arguments.port))
    print(f"sent {len(packet)} of {PACKET_BYTES} bytes, a file of {len(data)} bytes")


if __name__ == "__main__":
    main()
