"""`make test-faults`: variables `FAULTS` (full or small) and `SEED` say which campaign to run."""

import os
import sys
import time
from pathlib import Path


def _progress(text: str) -> None:
    end = "" if sys.stdout.isatty() else "\n"
    print(f"\r  {text}", end=end, flush=True)


def main() -> int:
    """Run a campaign in the folder that is the only argument; 0 if everything was right."""
    from tests.faults.campaign import SIZES, Campaign, CampaignFailed

    size, seed = SIZES[os.environ["FAULTS"]], int(os.environ["SEED"])
    started = time.monotonic()
    print(f"\nfaults: SEED={seed}", flush=True)
    folder = Path(sys.argv[1])
    campaign = Campaign(folder, size, seed, _progress)
    failure = ""
    try:
        campaign.run()
    except (CampaignFailed, TimeoutError) as error:
        failure = str(error)
    figures = f"{campaign.figures} ({time.monotonic() - started:.0f} s, SEED={seed})"
    report = f"{campaign.report}\n\n{figures}\n"
    if failure:
        report += f"FAILED: {failure}\n"
    (folder / "report.txt").write_text(report)
    print(f"\n\n{report}\nThe report and all logs are in {folder}.", flush=True)
    return bool(failure)


if __name__ == "__main__":
    sys.exit(main())
