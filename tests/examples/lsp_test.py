#!/usr/bin/env python3
"""examples/lsp by the protocol itself: positions, edits, cancelling, errors, the end.

  lsp_test.py LSP MODEL
"""
import json
import subprocess
import sys

LSP, MODEL = sys.argv[1:]
URI = "file:///project/src/na%C3%AFve.cpp"
TEXT = "#include <string>\n\n// \U0001F600 says hello\nbool has(const std::string& name) {\n  if (name.empty()) \n}\n"


class Client:
    def __init__(self):
        self.process = subprocess.Popen([LSP, MODEL], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.last_id = 0

    def raw(self, body):
        body = body.encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.process.stdin.flush()

    def notify(self, method, params=None):
        self.raw(json.dumps({"jsonrpc": "2.0", "method": method, "params": params or {}}))

    def begin(self, method, params=None):
        self.last_id += 1
        self.raw(json.dumps({"jsonrpc": "2.0", "id": self.last_id, "method": method, "params": params or {}}))
        return self.last_id

    def receive(self):
        length = None
        while (line := self.process.stdout.readline().strip()):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        return json.loads(self.process.stdout.read(length))

    def ask(self, method, params=None):
        number = self.begin(method, params)
        answer = self.receive()
        assert answer["id"] == number and answer["jsonrpc"] == "2.0", answer
        return answer

    def open(self):
        capabilities = self.ask("initialize", {"rootUri": "file:///project", "capabilities": {}})["result"]["capabilities"]
        assert capabilities["inlineCompletionProvider"] and capabilities["textDocumentSync"]["change"] == 2
        self.notify("initialized")
        # What is compared below must not depend on how busy the machine is.
        self.notify("workspace/didChangeConfiguration", {"settings": {"inlay": {"deadline_ms": 60000}}})
        self.notify("textDocument/didOpen", {"textDocument": {"uri": URI, "languageId": "cpp", "version": 1, "text": TEXT}})

    def change(self, start, end, text):
        self.notify("textDocument/didChange", {"textDocument": {"uri": URI, "version": 2}, "contentChanges": [
            {"range": {"start": at(*start), "end": at(*end)}, "text": text}]})

    def inline(self, line, character):
        return self.ask("textDocument/inlineCompletion", where(line, character))["result"]["items"]

    def end(self):
        assert self.ask("shutdown")["result"] is None
        assert self.ask("textDocument/completion", where(0, 0))["error"]["code"] == -32600
        self.notify("exit")
        assert self.process.wait() == 0


def at(line, character):
    return {"line": line, "character": character}


def where(line, character):
    return {"textDocument": {"uri": URI}, "position": at(line, character), "context": {"triggerKind": 1}}


def test_completion():
    client = Client()
    client.open()
    items = client.inline(4, 20)
    assert len(items) == 1 and items[0]["insertText"].strip(), items
    text = items[0]["insertText"]
    assert items[0]["range"] == {"start": at(4, 20), "end": at(4, 20)}, items
    # Typed as suggested: the rest of it.
    client.change((4, 20), (4, 20), text[:1])
    assert client.inline(4, 21)[0]["insertText"] == text[1:]
    # Taken back again.
    client.change((4, 20), (4, 21), "")
    assert client.inline(4, 20)[0]["insertText"] == text
    # Plain completion takes the word along, for editors to filter by.
    client.change((4, 20), (4, 20), "ret")
    result = client.ask("textDocument/completion", where(4, 23))["result"]
    item = result["items"][0]
    assert result["isIncomplete"] and item["textEdit"]["newText"].startswith("ret"), result
    assert item["textEdit"]["range"] == {"start": at(4, 20), "end": at(4, 23)}, item
    assert item["label"] == item["textEdit"]["newText"].split("\n")[0] and item["filterText"].startswith("ret")
    client.end()


def test_positions():
    """UTF-16: the smiley counts for two. The text that the server has is seen in what it completes."""
    client = Client()
    client.open()
    client.change((2, 3), (2, 5), "x")  # the smiley's place
    client.change((2, 4), (2, 4), "\U0001F601\U0001F602")
    client.change((2, 6), (2, 8), "y")  # the second one's
    client.change((9, 0), (99, 99), "// the end\n")  # behind the end: at it
    client.change((4, 2), (4, 99), "return n")  # behind the line: at its end
    item = client.ask("textDocument/completion", where(4, 10))["result"]["items"][0]
    assert item["textEdit"]["range"] == {"start": at(4, 9), "end": at(4, 10)}, item
    assert item["textEdit"]["newText"].startswith("n"), item
    client.change((2, 7), (2, 7), "word")
    item = client.ask("textDocument/completion", where(2, 11))["result"]["items"]
    assert not item or item[0]["textEdit"]["range"]["start"] == at(2, 6), item
    client.end()


def test_encodings():
    """A line with characters of one to four bytes, and line ends of all three kinds."""
    text = "// one\r\n// two\r// \u00e9\u20ac\U0001F600\nint n = 1;\n"
    for offered, chosen, character in ((["utf-8", "utf-16"], "utf-8", 12), (["utf-7", "utf-32", "utf-8"], "utf-32", 6),
                                       (["utf-16"], "utf-16", 7), ([], "utf-16", 7)):
        client = Client()
        answer = client.ask("initialize", {"capabilities": {"general": {"positionEncodings": offered}}})
        assert answer["result"]["capabilities"]["positionEncoding"] == chosen, answer
        client.notify("textDocument/didOpen", {"textDocument": {"uri": URI, "languageId": "cpp", "version": 1, "text": text}})
        client.change((2, character), (2, character), "ab")
        for item in client.ask("textDocument/completion", where(2, character + 2))["result"]["items"]:
            assert item["textEdit"]["range"] == {"start": at(2, character), "end": at(2, character + 2)}, item
            assert item["textEdit"]["newText"].startswith("ab"), item
        client.end()


def test_selected():
    """What the editor's list has selected is in the text that is completed, and in what is inserted."""
    client = Client()
    client.open()
    client.change((4, 20), (4, 20), "re")
    chosen = {"start": at(4, 20), "end": at(4, 22)}
    params = where(4, 22)
    params["context"] = {"triggerKind": 2, "selectedCompletionInfo": {"range": chosen, "text": "return"}}
    items = client.ask("textDocument/inlineCompletion", params)["result"]["items"]
    assert len(items) == 1 and items[0]["range"] == chosen, items
    assert items[0]["insertText"].startswith("return ") and items[0]["insertText"].strip() != "return", items
    # The document is as it was, and goes on with what is accepted.
    client.change((4, 20), (4, 22), "return")
    assert client.inline(4, 26)[0]["insertText"] == items[0]["insertText"][len("return"):]
    params["context"]["selectedCompletionInfo"] = {"text": "return"}
    assert client.ask("textDocument/inlineCompletion", params)["error"]["code"] == -32602
    client.end()


def test_large():
    """Empty, and a million bytes, on one line and on many; the cursor at the end, and behind it."""
    client = Client()
    client.open()
    whole = lambda text: client.notify("textDocument/didChange", {
        "textDocument": {"uri": URI, "version": 3}, "contentChanges": [{"text": text}]})
    for text in ("", "x" * 1000000, TEXT * 10000, "\r\n" * 1000, "\U0001F600" * 1000):
        whole(text)
        lines = text.count("\n")
        for place in ((lines, 0), (lines + 5, 7), (0, 10**9), (lines // 2, 3)):
            client.inline(*place)
    client.end()


def test_cancel():
    client = Client()
    client.open()
    for cancel in (lambda n: client.notify("$/cancelRequest", {"id": n}),
                   lambda n: client.change((0, 0), (0, 0), "// new\n"),
                   lambda n: client.begin("textDocument/inlineCompletion", where(2, 0))):
        for line in range(3):
            number = client.begin("textDocument/inlineCompletion", where(line, 0))
            cancel(number)
            answer = client.receive()
            # Either it was done before, or it says that it was not.
            assert answer["id"] == number and ("result" in answer or answer["error"]["code"] in (-32800, -32801)), answer
            if client.last_id != number:
                assert client.receive()["id"] == client.last_id
    client.end()


def test_errors():
    client = Client()
    assert client.ask("textDocument/completion", where(0, 0))["error"]["code"] == -32002
    client.raw("{no json")
    assert client.receive()["error"]["code"] == -32700
    for other in ("[]", "null", "5", '{"id": 5}'):
        client.raw(other)
        assert client.receive()["error"]["code"] == -32600, other
    client.open()
    assert client.ask("initialize", {"capabilities": {}})["error"]["code"] == -32600
    assert client.ask("textDocument/nothing")["error"]["code"] == -32601
    assert client.ask("textDocument/completion", {"position": at(0, 0)})["error"]["code"] == -32602
    other = where(0, 0)
    other["textDocument"]["uri"] = "file:///unknown"
    assert client.ask("textDocument/completion", other)["error"]["code"] == -32602
    client.notify("$/setTrace", {"value": "off"})
    client.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    assert "error" in client.ask("textDocument/completion", where(0, 0))
    client.end()
    # An editor that dies takes the server with it.
    client = Client()
    client.open()
    client.process.stdin.close()
    assert client.process.wait() == 1


def main():
    for test in (test_completion, test_positions, test_encodings, test_selected, test_large, test_cancel, test_errors):
        test()
        print(test.__name__, "passed")


if __name__ == "__main__":
    main()
