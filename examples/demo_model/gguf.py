"""GGUF files: as much of the format as the demo model needs."""
import pathlib
import struct

import numpy as np

UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9  # types of metadata values
TENSOR_TYPES = {"F32": 0, "F16": 1, "Q8_0": 8}  # types of tensors
MAGIC, VERSION = 0x46554747, 3
ALIGNMENT = 32
Q8_0_BLOCK = np.dtype([("scale", "<f2"), ("values", "i1", 32)])


class Uint32(int):
    """An int that the file stores as uint32; token types, for one, are int32."""


def packed_string(text):
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def packed_value(value):
    """The type and the bytes of a metadata value."""
    if isinstance(value, bool):
        return struct.pack("<IB", BOOL, value)
    if isinstance(value, Uint32):
        return struct.pack("<II", UINT32, value)
    if isinstance(value, float):
        return struct.pack("<If", FLOAT32, value)
    if isinstance(value, str):
        return struct.pack("<I", STRING) + packed_string(value)
    if isinstance(value[0], str):
        return (struct.pack("<IIQ", ARRAY, STRING, len(value))
                + b"".join(map(packed_string, value)))
    return struct.pack("<IIQ", ARRAY, INT32, len(value)) + np.array(value, "<i4").tobytes()


def q8_0(x):
    """Blocks of 32 values: a float16 scale and 32 bytes."""
    blocks = x.astype(np.float32).reshape(-1, 32)
    scale = np.abs(blocks).max(1, keepdims=True) / np.float32(127)
    inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
    out = np.empty(len(blocks), Q8_0_BLOCK)
    out["scale"] = scale[:, 0]
    out["values"] = np.rint(blocks * inverse)
    return out.tobytes()


def write(path, metadata, tensors, matrix_type):
    """tensors: {name: array}. Vectors stay F32; matrices become matrix_type."""
    header = struct.pack("<IIQQ", MAGIC, VERSION, len(tensors), len(metadata))
    for key, value in metadata.items():
        header += packed_string(key) + packed_value(value)
    data = b""
    for name, x in tensors.items():
        kind = "F32" if x.ndim == 1 else matrix_type
        header += packed_string(name) + struct.pack("<I", x.ndim)
        header += struct.pack(f"<{x.ndim}Q", *reversed(x.shape))
        header += struct.pack("<IQ", TENSOR_TYPES[kind], len(data))
        raw = q8_0(x) if kind == "Q8_0" else x.astype("<f4" if kind == "F32" else "<f2").tobytes()
        data += raw + bytes(-len(raw) % ALIGNMENT)
    header += bytes(-len(header) % ALIGNMENT)
    pathlib.Path(path).write_bytes(header + data)


class Reader:
    """Metadata and tensors (as float32) of a file that write() made."""

    def __init__(self, path):
        self.data, self.position = pathlib.Path(path).read_bytes(), 0
        magic, version, tensor_count, value_count = self.take("<IIQQ")
        if (magic, version) != (MAGIC, VERSION):
            raise ValueError(f"{path} is not a GGUF file of version {VERSION}")
        self.metadata = {self.string(): self.value() for _ in range(value_count)}
        infos = []
        for _ in range(tensor_count):
            name, dimensions = self.string(), self.take("<I")[0]
            shape = self.take(f"<{dimensions}Q")[::-1]
            infos.append((name, shape, *self.take("<IQ")))
        start = self.position + -self.position % ALIGNMENT
        self.tensors = {name: self.tensor(shape, kind, start + offset)
                        for name, shape, kind, offset in infos}

    def take(self, fields):
        values = struct.unpack_from(fields, self.data, self.position)
        self.position += struct.calcsize(fields)
        return values

    def string(self):
        size = self.take("<Q")[0]
        self.position += size
        return self.data[self.position - size:self.position].decode()

    def value(self, kind=None):
        if kind is None:
            kind = self.take("<I")[0]
        if kind == STRING:
            return self.string()
        if kind == ARRAY:
            kind, count = self.take("<IQ")
            return [self.value(kind) for _ in range(count)]
        return self.take({UINT32: "<I", INT32: "<i", FLOAT32: "<f", BOOL: "<?"}[kind])[0]

    def tensor(self, shape, kind, offset):
        count = int(np.prod(shape))
        if kind == TENSOR_TYPES["Q8_0"]:
            blocks = np.frombuffer(self.data, Q8_0_BLOCK, count // 32, offset)
            values = blocks["values"] * blocks["scale"].astype(np.float32)[:, None]
        else:
            item = "<f4" if kind == TENSOR_TYPES["F32"] else "<f2"
            values = np.frombuffer(self.data, item, count, offset).astype(np.float32)
        return values.reshape(shape)
