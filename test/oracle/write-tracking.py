"""Writes the records that TensorBoard's own messages and writer give for what src/tracking/event-file.ts writes.

Usage: python test/oracle/write-tracking.py test/fixtures/tracking/events.json        the fixture (needs tensorboard)
       python test/oracle/write-tracking.py --read RUNS                               what TensorBoard reads in a folder
"""
import io
import json
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import DATA_CLASS_TENSOR, Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_FLOAT, DT_STRING
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import crc32c, masked_crc32c
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tensorboard.summary.writer.record_writer import RecordWriter

TIME = 1764280000.125


def record(event):
    buffer = io.BytesIO()
    RecordWriter(buffer).write(event.SerializeToString())
    return buffer.getvalue().hex()


def metadata(plugin, content=b""):
    return SummaryMetadata(
        plugin_data=SummaryMetadata.PluginData(plugin_name=plugin, content=content), data_class=DATA_CLASS_TENSOR
    )


def summary(*values, step=0):
    return record(Event(wall_time=TIME, step=step, summary=Summary(value=values)))


def hparams(tag, **content):
    data = HParamsPluginData(**content).SerializeToString()
    none = TensorProto(dtype=DT_FLOAT, tensor_shape=TensorShapeProto())
    return summary(Summary.Value(tag=tag, metadata=metadata("hparams", data), tensor=none))


def text(step, tag, value):
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
    tensor = TensorProto(dtype=DT_STRING, tensor_shape=shape, string_val=[value.encode()])
    return summary(Summary.Value(tag=f"{tag}/text_summary", metadata=metadata("text"), tensor=tensor), step=step)


def setting(key, value):
    kind = "bool_value" if isinstance(value, bool) else "string_value" if isinstance(value, str) else "number_value"
    start = {"hparams": {key: {kind: value}}, "group_name": "run", "start_time_secs": TIME}
    return hparams("_hparams_/session_start_info", session_start_info=start)


def write(path):
    scalars = [Summary.Value(tag="train/loss", simple_value=2.5), Summary.Value(tag="train/grad_norm", simple_value=0.1)]
    texts = ["", "a", "123456789", "größer", "x" * 300]
    fixture = {
        "time": TIME * 1000,
        "checksums": [[each, crc32c(each.encode()), masked_crc32c(each.encode())] for each in texts],
        "records": {
            "version": record(Event(wall_time=TIME, file_version="brain.Event:2")),
            "start": record(Event(wall_time=TIME, step=0, session_log=SessionLog(status=SessionLog.START))),
            "resumed": record(Event(wall_time=TIME, step=301, session_log=SessionLog(status=SessionLog.START))),
            "scalars": summary(*scalars, step=3000000000),
            "text": text(7, "samples/1", "**größer** " * 40),
            "number": setting("learning_rate", 2e-4),
            "word": setting("schedule", "cosine"),
            "truth": setting("packing", True),
            "falsehood": setting("shuffle", False),
            "finished": hparams("_hparams_/session_end_info", session_end_info={"status": 1, "end_time_secs": TIME}),
            "aborted": hparams("_hparams_/session_end_info", session_end_info={"status": 0, "end_time_secs": TIME}),
            "failed": hparams("_hparams_/session_end_info", session_end_info={"status": 2, "end_time_secs": TIME}),
        },
    }
    with open(path, "w") as file:
        json.dump(fixture, file, ensure_ascii=False, indent=1)
        file.write("\n")


def read(folder):
    found = EventAccumulator(folder, size_guidance={"scalars": 0, "tensors": 0})
    found.Reload()
    for tag in found.Tags()["scalars"]:
        print(tag, [(each.step, each.value) for each in found.Scalars(tag)])
    for tag in found.Tags()["tensors"]:
        print(tag, [(each.step, [text.decode() for text in each.tensor_proto.string_val]) for each in found.Tensors(tag)])
    for tag, content in found.PluginTagToContent("hparams").items():
        print(tag, HParamsPluginData.FromString(content))


if sys.argv[1] == "--read":
    read(sys.argv[2])
else:
    write(sys.argv[1])
