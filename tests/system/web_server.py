#!/usr/bin/python3
"""A web server for the tests of real use: what nginx does not do by itself.

    web_server.py PORT REPOSITORIES

On 127.0.0.1:PORT: PUT /upload answers the SHA-256 of what came; GET /echo is a WebSocket that sends back what it gets;
GET /events sends server-sent events, one each time the one before was fetched at /next; /git/ is git's own HTTP backend.
Anything else is a file below the current folder, as `python3 -m http.server` serves it.
"""
import base64
import hashlib
import http.server
import os
import queue
import struct
import subprocess
import sys

EVENTS = 5
go_on = queue.Queue()


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *_):
        pass

    def answer(self, body, kind='text/plain'):
        self.send_response(200)
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == '/echo':
            self.web_socket()
        elif self.path == '/events':
            self.events()
        elif self.path == '/next':
            go_on.put(1)
            self.answer(b'')
        elif self.path.startswith('/git/'):
            self.git()
        else:
            super().do_GET()

    def do_POST(self):
        self.git()

    def body(self):
        """in blocks; both ways in which a body is framed"""
        if 'chunked' in self.headers.get('Transfer-Encoding', ''):
            while length := int(self.rfile.readline().split(b';')[0], 16):
                yield self.rfile.read(length)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get('Content-Length', 0))
        while left > 0:
            block = self.rfile.read(min(left, 1 << 20))
            if not block:
                return
            left -= len(block)
            yield block

    def do_PUT(self):
        digest, size = hashlib.sha256(), 0
        if self.headers.get('Expect', '').lower() == '100-continue':
            pass  # the base class has answered
        for block in self.body():
            digest.update(block)
            size += len(block)
        self.answer(f'{size} {digest.hexdigest()}\n'.encode())

    def events(self):
        self.send_response(200)
        self.send_header('Content-Type', 'text/event-stream')
        self.send_header('Connection', 'close')
        self.end_headers()
        for n in range(EVENTS):
            self.wfile.write(f'data: event {n}\n\n'.encode())
            self.wfile.flush()
            go_on.get(timeout=60)
        self.close_connection = True

    def web_socket(self):
        """RFC 6455: frames of up to 65535 bytes, each whole; ends with the client"""
        key = self.headers['Sec-WebSocket-Key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
        self.send_response(101)
        self.send_header('Upgrade', 'websocket')
        self.send_header('Connection', 'Upgrade')
        self.send_header('Sec-WebSocket-Accept', base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.end_headers()
        self.close_connection = True
        while len(head := self.rfile.read(2)) == 2:
            size = head[1] & 0x7f
            if size == 126:
                size, = struct.unpack('>H', self.rfile.read(2))
            mask = self.rfile.read(4)
            data = bytes(b ^ mask[i % 4] for i, b in enumerate(self.rfile.read(size)))
            self.wfile.write(bytes([head[0], size]) if size < 126 else bytes([head[0], 126]) + struct.pack('>H', size))
            self.wfile.write(data)
            if head[0] & 0xf == 8:  # close
                return

    def git(self):
        path, _, query = self.path.removeprefix('/git').partition('?')
        env = {**os.environ, 'GIT_PROJECT_ROOT': sys.argv[2], 'GIT_HTTP_EXPORT_ALL': '1', 'PATH_INFO': path,
               'QUERY_STRING': query, 'REQUEST_METHOD': self.command, 'GIT_CONFIG_COUNT': '1',
               'GIT_CONFIG_KEY_0': 'safe.directory', 'GIT_CONFIG_VALUE_0': '*',
               'CONTENT_TYPE': self.headers.get('Content-Type', ''), 'GIT_PROTOCOL': self.headers.get('Git-Protocol', ''),
               'HTTP_CONTENT_ENCODING': self.headers.get('Content-Encoding', '')}
        done = subprocess.run(['git', 'http-backend'], input=b''.join(self.body()), capture_output=True, env=env)
        head, _, body = done.stdout.partition(b'\r\n\r\n')
        fields = dict(line.split(': ', 1) for line in head.decode().split('\r\n'))
        self.send_response(int(fields.pop('Status', '200').split()[0]))
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)


http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Handler).serve_forever()
