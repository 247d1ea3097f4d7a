"""Files: labelled grids, weights, and the text files of a run folder."""

from sciml.io.files import read_toml as read_toml
from sciml.io.files import unused_folder as unused_folder
from sciml.io.files import versions as versions
from sciml.io.files import writable_folder as writable_folder
from sciml.io.files import write_json as write_json
from sciml.io.files import write_toml as write_toml
from sciml.io.grid import axes_of as axes_of
from sciml.io.grid import cell_sizes as cell_sizes
from sciml.io.grid import dataset_points as dataset_points
from sciml.io.grid import grid_points as grid_points
from sciml.io.grid import save_dataset as save_dataset
from sciml.io.grid import to_dataset as to_dataset
from sciml.io.history import read_history as read_history
from sciml.io.report import write_report as write_report
from sciml.io.weights import load_weights as load_weights
from sciml.io.weights import place_of as place_of
from sciml.io.weights import save_weights as save_weights

__all__ = [
    "axes_of",
    "cell_sizes",
    "dataset_points",
    "grid_points",
    "load_weights",
    "place_of",
    "read_history",
    "read_toml",
    "save_dataset",
    "save_weights",
    "to_dataset",
    "unused_folder",
    "versions",
    "writable_folder",
    "write_json",
    "write_report",
    "write_toml",
]
