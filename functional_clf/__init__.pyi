# The public names: the one list of them, which `__init__.py` reads, too.
from . import stats as stats
from .contestants.base import Contestant as Contestant
from .contestants.base import Trained as Trained
from .contestants.base import Training as Training
from .contestants.mlp import mlp_recipe as mlp_recipe
from .contestants.mlp import model_0 as model_0
from .contestants.mlp import model_1 as model_1
from .contestants.recipe import Recipe as Recipe
from .core.losses import bce_with_logits as bce_with_logits
from .core.losses import count_correct as count_correct
from .core.models import mlp as mlp
from .core.models import sequential as sequential
from .core.optim import adam as adam
from .core.optim import apply_updates as apply_updates
from .core.optim import sgd as sgd
from .core.tasks import Binary as Binary
from .core.tasks import MultiClass as MultiClass
from .core.tasks import Task as Task
from .core.train import fit as fit
from .core.train import init_state as init_state
from .core.train import make_eval_step as make_eval_step
from .core.train import make_train_step as make_train_step
from .core.train import stepwise as stepwise
from .core.types import Batch as Batch
from .core.types import CurvePoint as CurvePoint
from .core.types import Curves as Curves
from .core.types import Metrics as Metrics
from .core.types import Model as Model
from .core.types import Optimizer as Optimizer
from .core.types import Params as Params
from .core.types import Record as Record
from .core.types import TrainState as TrainState
from .data.dataset import Dataset as Dataset
from .data.generators import blobs as blobs
from .data.generators import circles as circles
from .data.generators import moons as moons
from .data.generators import spirals as spirals
from .record.database import StoreError as StoreError
from .record.weights import load_seed as load_seed
from .stats import Comparison as Comparison
from .stats import compare as compare
from .study.results import Results as Results
from .study.study import Study as Study

STARTED_AT: float
__version__: str
