"""Training: phases of optimisation, callbacks, loggers, checkpoints, and one loop for all of it."""

from sciml.training.callback import Callback as Callback
from sciml.training.callback import Checkpoint as Checkpoint
from sciml.training.callback import EarlyStopping as EarlyStopping
from sciml.training.epochs import Epochs as Epochs
from sciml.training.history import History as History
from sciml.training.logger import CSVLogger as CSVLogger
from sciml.training.logger import Logger as Logger
from sciml.training.logger import TensorBoardLogger as TensorBoardLogger
from sciml.training.objective import ResidualObjective as ResidualObjective
from sciml.training.phase import Every as Every
from sciml.training.phase import Phase as Phase
from sciml.training.progress import Progress as Progress
from sciml.training.run import PhaseReport as PhaseReport
from sciml.training.run import Run as Run
from sciml.training.trainer import Result as Result
from sciml.training.trainer import Trainer as Trainer

__all__ = [
    "CSVLogger",
    "Callback",
    "Checkpoint",
    "EarlyStopping",
    "Epochs",
    "Every",
    "History",
    "Logger",
    "Phase",
    "PhaseReport",
    "Progress",
    "ResidualObjective",
    "Result",
    "Run",
    "TensorBoardLogger",
    "Trainer",
]
