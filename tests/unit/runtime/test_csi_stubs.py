"""The committed CSI stubs are what the committed protocol gives."""

from importlib import import_module
from pathlib import Path

TREE = Path(__file__).resolve().parents[3]
PROTOCOL = Path("provider/runtime/csi/csi.proto")


def test_committed_stubs_are_up_to_date(tmp_path: Path) -> None:
    protoc = import_module("grpc_tools.protoc")
    included = Path(str(protoc.__file__)).parent / "_proto"
    outputs = [f"--{kind}={tmp_path}" for kind in ("python_out", "pyi_out", "grpc_python_out")]
    assert protoc.main(["protoc", f"-I{TREE}", f"-I{included}", *outputs, str(TREE / PROTOCOL)]) == 0
    made = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("csi_pb2*"))
    assert [path.name for path in made] == ["csi_pb2.py", "csi_pb2.pyi", "csi_pb2_grpc.py"]
    stale = [str(path) for path in made if (TREE / path).read_text() != (tmp_path / path).read_text()]
    assert stale == [], "run `make generate`"
