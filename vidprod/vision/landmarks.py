"""The face models of MediaPipe: where faces are in a picture, and 478 points of each.

MediaPipe's own face solution runs its detector on every picture that shows fewer faces than it was told to expect,
and says neither how sure it is nor which face is which. Here the graphs of its wheel are put together anew: one finds
faces in a picture, one traces the face in a region that the caller names. So the caller follows faces himself, and
the detector runs when he asks. Importing the package as it stands would bring matplotlib, OpenCV and all its tasks
(0.4 s, 70 MB); its bindings alone are 0.03 s and 16 MB.
"""

import contextlib
import importlib.util
import math
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidprod.errors import ModelMissing

Picture = NDArray[np.uint8]
Landmarks = NDArray[np.float32]

POINTS = 478  # kMeshWithIrisLandmarksNum
FACE_POINTS = 468  # of them; the rest are the irises
SURE = 0.5  # confidence below which MediaPipe itself says that there is no face

_MARGIN = 1.5  # region to face, as the models were trained (face_landmark_landmarks_to_roi.pbtxt)
_OUTER_CORNERS = 33, 263  # of the eyes
_NEAR = 0.25  # of the picture's shorter side: narrower faces the detector for near ones is not asked about
_PACKAGES = ("mediapipe", "mediapipe.python", "mediapipe.framework", "mediapipe.framework.formats")

# face_landmark_cpu.pbtxt, but that the score leaves, and the landmarks do before they are laid over the picture
_TRACE = """
num_threads: 1
input_stream: "image"
input_stream: "region"
output_stream: "score"
output_stream: "landmarks"
node {
  calculator: "ConstantSidePacketCalculator"
  output_side_packet: "PACKET:with_attention"
  options { [mediapipe.ConstantSidePacketCalculatorOptions.ext] { packet { bool_value: true } } }
}
node {
  calculator: "FaceLandmarksModelLoader"
  input_side_packet: "WITH_ATTENTION:with_attention"
  output_side_packet: "MODEL:model"
}
node { calculator: "TfLiteCustomOpResolverCalculator" output_side_packet: "OP_RESOLVER:op_resolver" }
node {
  calculator: "ImageToTensorCalculator"
  input_stream: "IMAGE:image"
  input_stream: "NORM_RECT:region"
  output_stream: "TENSORS:input_tensors"
  options {
    [mediapipe.ImageToTensorCalculatorOptions.ext] {
      output_tensor_width: 192
      output_tensor_height: 192
      output_tensor_float_range { min: 0 max: 1 }
    }
  }
}
node {
  calculator: "InferenceCalculator"
  input_stream: "TENSORS:input_tensors"
  input_side_packet: "MODEL:model"
  input_side_packet: "OP_RESOLVER:op_resolver"
  output_stream: "TENSORS:output_tensors"
  options { [mediapipe.InferenceCalculatorOptions.ext] { delegate { xnnpack { num_threads: 1 } } } }
}
node {
  calculator: "SplitTensorVectorCalculator"
  input_stream: "output_tensors"
  output_stream: "landmark_tensors"
  output_stream: "score_tensor"
  options {
    [mediapipe.SplitVectorCalculatorOptions.ext] { ranges { begin: 0 end: 6 } ranges { begin: 6 end: 7 } }
  }
}
node {
  calculator: "TensorsToFloatsCalculator"
  input_stream: "TENSORS:score_tensor"
  output_stream: "FLOAT:score"
  options { [mediapipe.TensorsToFloatsCalculatorOptions.ext] { activation: SIGMOID } }
}
node {
  calculator: "TensorsToFaceLandmarksWithAttention"
  input_stream: "TENSORS:landmark_tensors"
  output_stream: "LANDMARKS:landmarks"
}
"""
_FIND = """
num_threads: 1
input_stream: "image"
output_stream: "detections"
node {{ calculator: "{calculator}" input_stream: "IMAGE:image" output_stream: "DETECTIONS:detections" }}
"""


class Region(NamedTuple):
    """A square of a picture, in its pixels: the centre, the side, and how far it is turned clockwise (radians)."""

    x: float
    y: float
    side: float
    turn: float


def region_of(landmarks: Landmarks) -> Region:
    """Where the next picture is looked at for the face with these landmarks: upright to it, half as much again."""
    (x0, y0), (x1, y1) = landmarks[_OUTER_CORNERS, :2].tolist()
    turn = math.atan2(y1 - y0, x1 - x0)
    across = np.array([math.cos(turn), math.sin(turn)])
    down = np.array([-math.sin(turn), math.cos(turn)])
    points = landmarks[:FACE_POINTS, :2]
    u, v = points @ across, points @ down
    middle = across * (u.min() + u.max()) / 2 + down * (v.min() + v.max()) / 2
    side = _MARGIN * max(u.max() - u.min(), v.max() - v.min())
    return Region(float(middle[0]), float(middle[1]), float(side), turn)


class Mesh:
    """The models, loaded. Deterministic: what is said of a picture does not depend on those before."""

    def __init__(self) -> None:
        """Raises ModelMissing where they are not installed."""
        with _quiet():
            self._bindings = _Bindings()
            self._far = _Graph(self._bindings, _FIND.format(calculator="FaceDetectionFullRangeCpu"))
            self._near = _Graph(self._bindings, _FIND.format(calculator="FaceDetectionShortRangeCpu"))
            self._trace = _Graph(self._bindings, _TRACE)
            blank = np.zeros((64, 64, 3), np.uint8)  # what they have to say they say at the first picture
            self.find(blank)
            self.trace(blank, Region(32, 32, 64, 0))

    def __enter__(self) -> "Mesh":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        for graph in (self._far, self._near, self._trace):
            graph.close()

    def find(self, picture: Picture) -> list[Region]:
        """Where faces seem to be, the largest first.

        Args:
            picture: (height, width, 3) uint8, RGB.
        """
        found = self._find(self._far, picture)
        if not found:  # a face that fills the picture the other does not see
            found = [region for region in self._find(self._near, picture) if region.side > _MARGIN * _least(picture)]
        return sorted(found, key=lambda region: -region.side)

    def trace(self, picture: Picture, region: Region) -> tuple[Landmarks, float]:
        """The landmarks of the face in `region`, (478, 3) float32 in pixels of `picture`, z from the face's middle
        towards the back; and how sure it is that there is one, 0 … 1.

        Args:
            picture: (height, width, 3) uint8, RGB.
        """
        height, width = picture.shape[:2]
        rect = self._bindings.rect(
            x_center=region.x / width,
            y_center=region.y / height,
            width=region.side / width,
            height=region.side / height,
            rotation=region.turn,
        )
        create = self._bindings.create
        said = self._trace.run({"image": self._image(picture), "region": create.create_proto(rect)})
        read = self._bindings.read
        points = _points(read.get_proto(said["landmarks"]).SerializeToString())
        return _lay(points, region), float(read.get_float(said["score"]))

    def _find(self, graph: "_Graph", picture: Picture) -> list[Region]:
        said = graph.run({"image": self._image(picture)})
        if "detections" not in said:
            return []
        height, width = picture.shape[:2]
        found = self._bindings.read.get_proto_list(said["detections"])
        return [_region_found(each.location_data, width, height) for each in found]

    def _image(self, picture: Picture) -> Any:
        bindings = self._bindings
        return bindings.create.create_image_frame(np.ascontiguousarray(picture), image_format=bindings.rgb)


def _least(picture: Picture) -> float:
    return _NEAR * min(picture.shape[:2])


def _region_found(location: Any, width: int, height: int) -> Region:
    """Source: face_detection_front_detection_to_roi.pbtxt."""
    box, eyes = location.relative_bounding_box, location.relative_keypoints
    turn = math.atan2((eyes[1].y - eyes[0].y) * height, (eyes[1].x - eyes[0].x) * width)
    side = _MARGIN * max(box.width * width, box.height * height)
    return Region((box.xmin + box.width / 2) * width, (box.ymin + box.height / 2) * height, side, turn)


# NormalizedLandmarkList as it is serialized: a field of 15 bytes for each, with x, y and z (proto2 writes zeros too)
_WIRE = np.dtype([("list", "<u2"), ("", "u1"), ("x", "<f4"), ("", "u1"), ("y", "<f4"), ("", "u1"), ("z", "<f4")])


def _points(message: bytes) -> Landmarks:
    """(478, 3), in sides of the region. Reading them one by one through protobuf takes ten times as long."""
    fields = np.frombuffer(message, _WIRE)
    if len(fields) != POINTS or (fields["list"] != 0x0F0A).any():
        raise ValueError(f"the model gave {len(message)} bytes that are not {POINTS} landmarks")
    return np.stack([fields["x"], fields["y"], fields["z"]], axis=-1)


def _lay(points: Landmarks, region: Region) -> Landmarks:
    """From sides of the region to pixels of the picture it is in."""
    cos, sin = math.cos(region.turn), math.sin(region.turn)
    x, y = points[:, 0] - 0.5, points[:, 1] - 0.5
    turned = np.stack([x * cos - y * sin, x * sin + y * cos, points[:, 2]], axis=-1)
    middle = np.array([region.x, region.y, 0.0])
    return np.asarray(turned * region.side + middle, np.float32)


# The library


class _Bindings:
    """The parts of MediaPipe that are used, imported below the package's own `__init__`, which imports all of it."""

    def __init__(self) -> None:
        try:
            spec = importlib.util.find_spec("mediapipe")
        except ImportError:
            spec = None
        if spec is None or not spec.submodule_search_locations:
            raise ModelMissing("mediapipe is not installed")
        root = Path(spec.submodule_search_locations[0])
        try:
            with _bare(root):
                bindings = importlib.import_module("mediapipe.python._framework_bindings")
                self.create: Any = importlib.import_module("mediapipe.python.packet_creator")
                self.read: Any = importlib.import_module("mediapipe.python.packet_getter")
                self.rect: Any = importlib.import_module("mediapipe.framework.formats.rect_pb2").NormalizedRect
                for name in ("detection_pb2", "landmark_pb2"):
                    importlib.import_module(f"mediapipe.framework.formats.{name}")
        except ImportError as error:
            raise ModelMissing(f"the mediapipe that is installed cannot be used: {error}") from error
        self.rgb: Any = bindings.image_frame.ImageFormat.SRGB
        self.graph: Any = bindings.calculator_graph.CalculatorGraph
        bindings.resource_util.set_resource_dir(str(root.parent))


@contextlib.contextmanager
def _bare(root: Path) -> Iterator[None]:
    """Within, the packages are what their folders hold, and nothing of what they would import themselves."""
    placed = []
    for name in _PACKAGES:
        if name not in sys.modules:
            package = ModuleType(name)
            package.__path__ = [str(root.joinpath(*name.split(".")[1:]))]
            sys.modules[name] = package
            placed.append(name)
    try:
        yield
    finally:
        for name in placed:
            del sys.modules[name]


class _Graph:
    """A graph that answers a picture at a time."""

    def __init__(self, bindings: _Bindings, text: str) -> None:
        self._graph = bindings.graph(graph_config=text)
        self._said: dict[str, Any] = {}
        self._runs = 0
        for line in text.splitlines():
            if line.startswith("output_stream:"):
                self._graph.observe_output_stream(line.split('"')[1], self._said.__setitem__)
        self._graph.start_run({})

    def run(self, packets: Mapping[str, Any]) -> dict[str, Any]:
        """What comes out, by stream; what does not is not there."""
        self._said.clear()
        self._runs += 1
        for name, packet in packets.items():
            self._graph.add_packet_to_input_stream(name, packet.at(self._runs))
        self._graph.wait_until_idle()
        return self._said

    def close(self) -> None:
        self._graph.close()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Within, nothing reaches the standard error: TensorFlow Lite speaks of itself there, and cannot be told not to."""
    sys.stderr.flush()
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)
