"""`python -m sgc_diffusion.cli`."""

import sys

from sgc_diffusion.cli import main

sys.exit(main())
