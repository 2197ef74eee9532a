import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for `chart_reading` and `chart_samples`
