"""What is set up before any test."""

import os
import signal

# Tests make workspaces of their own, and write into none that whoever runs them has.
os.environ.pop("LABKIT_WORKSPACE", None)

# A shell makes a process that it starts in the background ignore Ctrl-C, and its children inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
