#!/usr/bin/python3
"""The shared library from another language: Python's ctypes, with structures that end early, as an old binding's would."""
import ctypes as c
import os
import pathlib
import sys

BUILD = pathlib.Path(os.environ['QUDAG_BUILD'])


class Settings(c.Structure):  # the first fields of qudag_settings
    _fields_ = [('size', c.c_uint32), ('log_level', c.c_int), ('identity', c.c_void_p), ('listen', c.POINTER(c.c_char_p)),
                ('listen_n', c.c_size_t)]


class Stat(c.Structure):  # the first fields of qudag_stat
    _fields_ = [('size', c.c_uint32), ('kind', c.c_int), ('value', c.c_uint64), ('name', c.c_char_p)]


class Slice(c.Structure):
    _fields_ = [('base', c.c_void_p), ('len', c.c_size_t)]


class Handle(c.Structure):
    _fields_ = [('id', c.c_uint64)]


RELEASE = c.CFUNCTYPE(None, c.c_void_p, c.c_void_p, c.c_size_t)


def buffers(lib, node):
    """a buffer is handed over to a stream that never opens, and comes back once; what is refused does not"""
    back, stream, peer = [], Handle(), c.create_string_buffer(256)
    release = RELEASE(lambda ctx, base, size: back.append((ctx, base, size)))
    bytes_ = c.create_string_buffer(b'x' * 5000)
    data = Slice(c.addressof(bytes_), 5000)
    write = lib.qudag_stream_write_owned
    write.argtypes = [c.c_void_p, Handle, Slice, RELEASE, c.c_void_p]
    assert lib.qudag_peer_id_parse(c.byref(peer), b'12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp') == 0
    assert lib.qudag_stream_open(node, c.byref(peer), b'/ffi/1.0.0', c.byref(stream)) == 0
    assert write(node, stream, data, release, 42) == 0 and back == []
    assert write(node, Handle(77), data, release, 43) == -10  # QUDAG_ESTALE
    assert write(node, stream, Slice(c.addressof(bytes_), 0), release, 43) == -15  # QUDAG_EINVAL
    assert lib.qudag_stream_lend(node, stream) == 0
    piece, count = (Slice * 4)(), c.c_size_t(4)
    assert lib.qudag_stream_lent(node, stream, piece, c.byref(count)) == 0 and count.value == 0
    lib.qudag_stream_reset(node, stream, c.c_int(-1000 - 7))  # QUDAG_EAPP(7)
    assert lib.qudag_node_step(node, c.c_uint64(0)) == 0
    assert back == [(42, c.addressof(bytes_), 5000)], back


def main():
    found = sorted((BUILD / 'src').glob('libqudag.so.*.*.*'))
    found = [p for p in found if p.suffix != '.symbols']
    if not found:
        print('no shared library built')
        sys.exit(77)
    lib = c.CDLL(str(found[0]))
    lib.qudag_err_name.restype = c.c_char_p
    ident, node = c.c_void_p(), c.c_void_p()
    assert lib.qudag_identity_generate(c.byref(ident)) == 0
    s = Settings()
    lib.qudag_settings_default(c.byref(s), c.c_uint32(c.sizeof(s)))
    assert s.size == c.sizeof(s)
    listen = (c.c_char_p * 1)(b'/ip4/127.0.0.1/udp/0/quic-v1')
    s.identity, s.listen, s.listen_n = ident, listen, 1
    err = lib.qudag_node_new(c.byref(node), c.byref(s), None, None)
    assert err == 0, lib.qudag_err_name(err)
    assert lib.qudag_node_start(node) == 0
    assert lib.qudag_node_step(node, c.c_uint64(0)) == 0
    it, stat, values = c.c_size_t(0), Stat(size=c.sizeof(Stat)), {}
    lib.qudag_node_stat_next.restype = c.c_bool
    while lib.qudag_node_stat_next(node, c.byref(it), c.byref(stat)):
        values[stat.name.decode()] = stat.value
    assert len(values) > 70 and values['memory_bytes'] > 0, values
    buffers(lib, node)
    lib.qudag_node_free(node)
    lib.qudag_identity_free(ident)
    print(f'ok: {len(values)} counters through {found[0].name}')


main()
