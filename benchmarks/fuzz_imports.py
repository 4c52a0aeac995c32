"""Random damages of files that users bring, 3,000 of each kind (or the number given): test_fuzzed_imports.py."""

import os
import subprocess
import sys
from pathlib import Path

TEST = Path(__file__).parent.parent / "tests" / "sources" / "test_fuzzed_imports.py"

if __name__ == "__main__":
    environment = {**os.environ, "OMNIFUSE_EXAMPLES": sys.argv[1] if len(sys.argv) > 1 else "3000"}
    sys.exit(subprocess.run([sys.executable, "-m", "pytest", str(TEST), "-v"], env=environment, check=False).returncode)
