"""Run each attempt in a child process: the supervising side (`parent`), the side that opens media (`child`), and the protocol
between them (`messages`, `frames`).
"""
