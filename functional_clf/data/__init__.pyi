# What may be imported from the room itself.
from .batches import ChunkData as ChunkData
from .dataset import Dataset as Dataset
from .generators import blobs as blobs
from .generators import circles as circles
from .generators import moons as moons
from .generators import spirals as spirals
