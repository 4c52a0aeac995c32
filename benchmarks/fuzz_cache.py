"""Random damages of a cache, 300 of each kind (or the number given); see tests/cache_schema/test_damage.py."""

import os
import subprocess
import sys
from pathlib import Path

TEST = Path(__file__).parent.parent / "tests" / "cache_schema" / "test_damage.py"

if __name__ == "__main__":
    environment = {**os.environ, "OMNIFUSE_DAMAGES": sys.argv[1] if len(sys.argv) > 1 else "300"}
    sys.exit(subprocess.run([sys.executable, "-m", "pytest", str(TEST), "-v"], env=environment, check=False).returncode)
