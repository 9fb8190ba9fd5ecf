package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// The protocols of the test; ../peer.c says what each does.
const (
	echo   = protocol.ID("/interop/echo/1.0.0")
	sink   = protocol.ID("/interop/sink/1.0.0")
	source = protocol.ID("/interop/source/1.0.0")
	count  = protocol.ID("/interop/count/1.0.0")
	half   = protocol.ID("/interop/half/1.0.0")
	refuse = protocol.ID("/interop/refuse/1.0.0")

	blockSize   = 65536
	halfBytes   = 100000 // after the other side's end
	streamBytes = 64
)

// block is what is sent again and again.
var block = func() []byte {
	b := make([]byte, blockSize)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}()

func (n *node) serve() {
	n.host.SetStreamHandler(echo, func(s network.Stream) {
		if _, err := io.CopyBuffer(s, s, make([]byte, blockSize)); err != nil {
			n.resets.Add(1)
			_ = s.Reset()
			return
		}
		_ = s.Close()
	})
	n.host.SetStreamHandler(sink, func(s network.Stream) {
		hash := sha256.New()
		got, err := io.CopyBuffer(hash, s, make([]byte, blockSize))
		finish(s, hash.Sum(binary.BigEndian.AppendUint64(nil, uint64(got))), err)
	})
	n.host.SetStreamHandler(count, func(s network.Stream) {
		got, err := io.CopyBuffer(io.Discard, onlyReader{s}, make([]byte, blockSize))
		finish(s, binary.BigEndian.AppendUint64(nil, uint64(got)), err)
	})
	n.host.SetStreamHandler(source, func(s network.Stream) {
		var head [8]byte
		_, err := io.ReadFull(s, head[:])
		var sum []byte
		if err == nil {
			sum, err = sendBlocks(s, binary.BigEndian.Uint64(head[:]), true)
		}
		finish(s, sum, err)
	})
	n.host.SetStreamHandler(half, func(s network.Stream) {
		_, _ = io.ReadFull(s, make([]byte, 1))
		_, _ = s.Write([]byte("bye"))
		_ = s.CloseWrite()
		got, err := io.Copy(io.Discard, s)
		if err == nil {
			n.seen.Store(got + 1)
		}
		_ = s.Close()
	})
	n.host.SetStreamHandler(refuse, func(s network.Stream) {
		_, _ = io.ReadFull(s, make([]byte, 1))
		_ = s.Reset()
	})
}

type onlyReader struct{ io.Reader }

func finish(s network.Stream, last []byte, err error) {
	if err == nil {
		_, err = s.Write(last)
	}
	if err != nil {
		_ = s.Reset()
		return
	}
	_ = s.Close()
}

// sendBlocks writes |total| bytes; the answer is their SHA-256.
func sendBlocks(w io.Writer, total uint64, hashed bool) ([]byte, error) {
	hash := sha256.New()
	for total > 0 {
		part := block[:min(total, blockSize)]
		if hashed {
			hash.Write(part)
		}
		if _, err := w.Write(part); err != nil {
			return nil, err
		}
		total -= uint64(len(part))
	}
	return hash.Sum(nil), nil
}

// one opens a stream and does |f| on it; it is reset when that fails.
func (n *node) one(ctx context.Context, id peer.ID, p protocol.ID, f func(network.Stream) (string, error)) (string, error) {
	s, err := n.host.NewStream(ctx, id, p)
	if err != nil {
		return "", err
	}
	_ = s.SetDeadline(time.Now().Add(answerTime * 3))
	answer, err := f(s)
	if err != nil {
		_ = s.Reset()
		return "", err
	}
	_ = s.Close()
	return answer, nil
}

func (n *node) streamCommand(ctx context.Context, verb string, id peer.ID, b string) (string, error) {
	total := uint64(number(b))
	switch verb {
	case "streams":
		return n.manyStreams(ctx, id, int(total))
	case "send":
		return n.one(ctx, id, sink, func(s network.Stream) (string, error) { return sendHashed(s, total) })
	case "pour":
		return n.one(ctx, id, count, func(s network.Stream) (string, error) { return pour(s, total) })
	case "fetch":
		return n.one(ctx, id, source, func(s network.Stream) (string, error) { return fetch(s, total) })
	case "half":
		return n.one(ctx, id, half, halfClosed)
	case "refuse":
		return n.one(ctx, id, refuse, refused)
	case "reset":
		s, err := n.host.NewStream(ctx, id, echo)
		if err == nil {
			err = turn(s, []byte("reset me"))
			_ = s.Reset()
		}
		return "", err
	case "open":
		s, err := n.host.NewStream(ctx, id, echo)
		if err == nil {
			n.kept = s
			err = turn(s, []byte("opened"))
		}
		return "", err
	}
	return "", errors.New("unknown command")
}

func (n *node) use() (string, error) {
	if n.kept == nil {
		return "", errors.New("no stream is open")
	}
	_ = n.kept.SetDeadline(time.Now().Add(answerTime))
	return "", turn(n.kept, []byte("still there"))
}

// turn writes to an echo stream and reads it back.
func turn(s network.Stream, data []byte) error {
	back := make([]byte, len(data))
	_, err := s.Write(data)
	if err == nil {
		_, err = io.ReadFull(s, back)
	}
	if err == nil && !bytes.Equal(back, data) {
		err = errors.New("the echo differs")
	}
	return err
}

// manyStreams opens |many| echo streams at once, each with bytes and an end of its own.
func (n *node) manyStreams(ctx context.Context, id peer.ID, many int) (string, error) {
	results := make(chan error, many)
	for i := range many {
		go func() {
			_, err := n.one(ctx, id, echo, func(s network.Stream) (string, error) {
				data := bytes.Repeat([]byte{byte(i), byte(i >> 8)}, streamBytes/2)
				if err := turn(s, data); err != nil {
					return "", err
				}
				_ = s.CloseWrite()
				if got, err := io.Copy(io.Discard, s); err != nil || got != 0 {
					return "", fmt.Errorf("no end: %d bytes, %w", got, err)
				}
				return "", nil
			})
			results <- err
		}()
	}
	for range many {
		if err := <-results; err != nil {
			return "", err
		}
	}
	return fmt.Sprint(many), nil
}

func sendHashed(s network.Stream, total uint64) (string, error) {
	sum, err := sendBlocks(s, total, true)
	if err != nil {
		return "", err
	}
	_ = s.CloseWrite()
	answer, err := io.ReadAll(s)
	if err == nil && !bytes.Equal(answer, append(binary.BigEndian.AppendUint64(nil, total), sum...)) {
		err = errors.New("the peer got something else")
	}
	return fmt.Sprintf("%x", sum), err
}

// pour sends without hashing; the answer is the time in us until the peer has counted it all.
func pour(s network.Stream, total uint64) (string, error) {
	begin := time.Now()
	if _, err := sendBlocks(s, total, false); err != nil {
		return "", err
	}
	_ = s.CloseWrite()
	answer, err := io.ReadAll(s)
	if err == nil && (len(answer) != 8 || binary.BigEndian.Uint64(answer) != total) {
		err = errors.New("the peer counts differently")
	}
	return fmt.Sprint(time.Since(begin).Microseconds()), err
}

func fetch(s network.Stream, total uint64) (string, error) {
	if _, err := s.Write(binary.BigEndian.AppendUint64(nil, total)); err != nil {
		return "", err
	}
	_ = s.CloseWrite()
	hash := sha256.New()
	got, err := io.CopyN(hash, s, int64(total))
	if err != nil {
		return "", fmt.Errorf("%d bytes came: %w", got, err)
	}
	theirs, err := io.ReadAll(s)
	sum := hash.Sum(nil)
	if err == nil && !bytes.Equal(theirs, sum) {
		err = errors.New("what came is something else")
	}
	return fmt.Sprintf("%x", sum), err
}

// halfClosed reads the other side's end, and then goes on writing.
func halfClosed(s network.Stream) (string, error) {
	if _, err := s.Write([]byte("x")); err != nil {
		return "", err
	}
	all, err := io.ReadAll(s)
	if err != nil || string(all) != "bye" {
		return "", fmt.Errorf("got %q, %w", all, err)
	}
	if _, err := sendBlocks(s, halfBytes, false); err != nil {
		return "", err
	}
	return "", s.CloseWrite()
}

// refused succeeds when the other side resets the stream.
func refused(s network.Stream) (string, error) {
	if _, err := s.Write([]byte("x")); err != nil {
		return "", err
	}
	_, err := io.ReadAll(s)
	if err == nil {
		return "", errors.New("the stream ended without a reset")
	}
	_ = s.Reset()
	return "", nil
}
