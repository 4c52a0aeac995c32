"""Damages images of every format at random, 2,000 of each (or the number given).

See tests/pipeline/image/test_damage.py.
"""

import os
import subprocess
import sys
from pathlib import Path

TEST = Path(__file__).parent.parent / "tests" / "image" / "test_damage.py"

if __name__ == "__main__":
    environment = {**os.environ, "OMNIFUSE_FUZZ_EXAMPLES": sys.argv[1] if len(sys.argv) > 1 else "2000"}
    sys.exit(subprocess.run([sys.executable, "-m", "pytest", str(TEST), "-v"], env=environment, check=False).returncode)
