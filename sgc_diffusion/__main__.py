"""`python -m sgc_diffusion`: the command `sgc`."""

import sys

from sgc_diffusion.cli import main

sys.exit(main())
