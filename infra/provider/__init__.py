"""The one seam to CDKTF and its AWS provider. Import it before CDKTF."""

import os
from pathlib import Path

# jsii starts Node with this as soon as it is imported.
os.environ.setdefault("JSII_NODE", str(Path(__file__).parent / "node"))
