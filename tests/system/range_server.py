#!/usr/bin/python3
"""A web server of one file, in any range of it: range_server.py PORT FILE BYTES_PER_SECOND.  On 127.0.0.1:PORT; as fast as it can
go once there is FILE.quick beside FILE."""
import http.server
import pathlib
import re
import sys
import time

FILE, PACE = pathlib.Path(sys.argv[2]), int(sys.argv[3])
DATA, QUICK = FILE.read_bytes(), FILE.with_name(FILE.name + '.quick')
BLOCK = 1 << 16


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *_):
        pass

    def do_GET(self):
        wanted = re.fullmatch(r'bytes=(\d+)-(\d*)', self.headers.get('Range', ''))
        begin = int(wanted[1]) if wanted else 0
        end = int(wanted[2]) + 1 if wanted and wanted[2] else len(DATA)
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header('Content-Range', f'bytes {begin}-{end - 1}/{len(DATA)}')
        self.send_header('Content-Length', str(end - begin))
        self.end_headers()
        try:
            for at in range(begin, end, BLOCK):
                self.wfile.write(DATA[at:min(at + BLOCK, end)])
                if not QUICK.exists():
                    time.sleep(BLOCK / PACE)
        except OSError:  # the caller has gone
            self.close_connection = True

    def handle(self):
        try:
            super().handle()
        except OSError:
            pass


http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Handler).serve_forever()
