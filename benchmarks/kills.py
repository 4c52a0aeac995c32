"""Twenty SIGKILLs at random moments of an extraction, with and without workers.

See tests/pipeline/core/test_kill.py.
"""

import os
import subprocess
import sys
from pathlib import Path

TEST = Path(__file__).parent.parent / "tests" / "pipeline" / "test_kill.py"

if __name__ == "__main__":
    environment = {**os.environ, "OMNIFUSE_KILLS": "20"}
    sys.exit(subprocess.run([sys.executable, "-m", "pytest", str(TEST), "-v"], env=environment, check=False).returncode)
