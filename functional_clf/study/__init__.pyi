# What may be imported from the room itself.
from .results import Results as Results
from .study import Study as Study
