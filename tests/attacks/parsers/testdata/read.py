# Reads one message in base64 a line, and writes what Python takes it for.
import base64, json, struct, sys


def text(v):
    if v is None:
        return "z"
    if v is True:
        return "t"
    if v is False:
        return "f"
    if isinstance(v, (int, float)):
        return "n" + struct.pack(">d", float(v) + 0.0).hex()
    if isinstance(v, str):
        return "s" + v.encode("utf-8").hex()
    if isinstance(v, list):
        return "[" + ",".join(map(text, v)) + "]"
    return "{" + ",".join(sorted(text(k) + ":" + text(e) for k, e in v.items())) + "}"


for line in sys.stdin:
    try:
        m = json.loads(base64.b64decode(line))
        p = m.get("params") or {}
        call = [p.get("name"), p.get("arguments")] if m["method"] == "tools/call" else []
        print(text([m["method"]] + call))
    except Exception as e:
        print("error " + type(e).__name__)
