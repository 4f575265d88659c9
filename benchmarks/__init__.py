"""What users wait for, measured beside what they would use instead. Run: python -m benchmarks [NAME ...]

One file is one benchmark and holds what it measures and how; `*_peer.py` starts and ends what it is compared with.
The rules are in docs/design/measuring.md.
"""
