"""Trajectories of random instances of a problem: made, stored and read, ours and other people's."""

from sciml.data.instances import generate as generate
from sciml.data.layout import Header as Header
from sciml.data.trajectories import Trajectories as Trajectories
from sciml.data.trajectories import open_trajectories as open_trajectories
from sciml.data.write import Batch as Batch
from sciml.data.write import write_trajectories as write_trajectories

__all__ = ["Batch", "Header", "Trajectories", "generate", "open_trajectories", "write_trajectories"]
