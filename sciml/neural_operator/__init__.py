"""Neural operators from files of trajectories: train one, load it, predict with it, hand it on."""

from sciml.neural_operator.evaluate import evaluate as evaluate
from sciml.neural_operator.export import export as export
from sciml.neural_operator.predict import predict as predict
from sciml.neural_operator.train import Trained as Trained
from sciml.neural_operator.train import load_operator as load_operator
from sciml.neural_operator.train import train as train

__all__ = ["Trained", "evaluate", "export", "load_operator", "predict", "train"]
