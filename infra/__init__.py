"""The platform team's half: what lives long, as Terraform synthesized by CDKTF."""

import os
from pathlib import Path

# jsii starts Node with this as soon as it is imported.
os.environ.setdefault("JSII_NODE", str(Path(__file__).parent / "provider" / "node"))
