# What may be imported from the room itself.
from .batches import ChunkData as ChunkData
from .bundled import breast_cancer as breast_cancer
from .bundled import digits as digits
from .bundled import iris as iris
from .bundled import wine as wine
from .dataset import Dataset as Dataset
from .generators import blobs as blobs
from .generators import circles as circles
from .generators import moons as moons
from .generators import spirals as spirals
from .tables import Table as Table
from .tables import from_arrays as from_arrays
from .tables import table as table
