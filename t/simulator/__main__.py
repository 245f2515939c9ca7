"""Makes both ``python3 t/simulator`` and ``python3 -m simulator`` work."""

import os
import sys

if not __package__:
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from simulator.cli import main  # noqa: E402

sys.exit(main())
