package main

import (
	"context"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/protocol/autonatv2"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	ma "github.com/multiformats/go-multiaddr"
)

// startAutonat makes h ask and answer by AutoNAT v2; loopback is as good as a public address here.
func startAutonat(h host.Host) (*autonatv2.AutoNAT, error) {
	dialer, err := libp2p.New(
		libp2p.NoListenAddrs,
		libp2p.Transport(libp2pquic.NewTransport),
		libp2p.ResourceManager(&network.NullResourceManager{}),
		libp2p.DisableMetrics(),
	)
	if err != nil {
		return nil, err
	}
	an, err := autonatv2.New(dialer, autonatv2.AllowPrivateAddrs)
	if err != nil {
		return nil, err
	}
	return an, an.Start(h)
}

// reach asks a connected server whether this node can be dialled at the address; one that it does not know yet is waited for.
func (n *node) reach(ctx context.Context, address string) (string, error) {
	a, err := ma.NewMultiaddr(address)
	if err != nil {
		return "", err
	}
	for {
		result, err := n.autonat.GetReachability(ctx, []autonatv2.Request{{Addr: a, SendDialData: true}})
		if err == autonatv2.ErrNoPeers {
			select {
			case <-ctx.Done():
				return "", err
			case <-time.After(100 * time.Millisecond):
				continue
			}
		}
		if err != nil {
			return "", err
		}
		if result.AllAddrsRefused {
			return "refused", nil
		}
		return result.Reachability.String(), nil
	}
}
