"""`python3 -m labkit.service MODULE:NAME` runs a service on the port that $LABKIT_PORT names."""

import os
import sys

from labkit.errors import LabError
from labkit.service._server import serve

ARGUMENTS = 2


def main() -> None:
    """Read what to run and where; end with code 2 and three short lines when one of them is missing."""
    port = os.environ.get("LABKIT_PORT", "")
    if len(sys.argv) != ARGUMENTS or not port.isdigit():
        seen = f"{' '.join(sys.argv[1:]) or 'nothing'} with LABKIT_PORT={port or '(unset)'}"
        next_step = "for example: LABKIT_PORT=8002 python3 -m labkit.service service:app"
        sys.stderr.write(f"{LabError('MODULE:NAME of an application, and its port', seen, next_step)}\n")
        sys.exit(2)
    sys.path.insert(0, "")
    serve(sys.argv[1], int(port))


main()
