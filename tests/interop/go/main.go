// A go-libp2p node on a leash: the command language of ../peer.c, the same answers.
//
//	go-peer [--listen MULTIADDR,...] [--sec tls|noise] [--kad server|client|off] [--relay yes] [--punch yes] [--autonat yes]
//
// Values live in the namespace "test", which takes anything here as it does in the node under test.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p"
	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/host/observedaddrs"
	"github.com/libp2p/go-libp2p/p2p/protocol/autonatv2"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	noise "github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/multiformats/go-multihash"
)

const answerTime = 40 * time.Second

type node struct {
	host   host.Host
	dht    *dht.IpfsDHT
	kept   network.Stream // of "open"
	resets atomic.Int64   // echo streams that the peer reset
	seen   atomic.Int64   // bytes that came on the last stream of "half"

	autonat *autonatv2.AutoNAT
}

// anything is the validator of a namespace without rules; the newer value comes first.
type anything struct{}

func (anything) Validate(string, []byte) error        { return nil }
func (anything) Select(string, [][]byte) (int, error) { return 0, nil }

func option(name, otherwise string) string {
	for i, arg := range os.Args[:len(os.Args)-1] {
		if arg == "--"+name {
			return os.Args[i+1]
		}
	}
	return otherwise
}

func newHost() (host.Host, error) {
	options := []libp2p.Option{
		libp2p.ListenAddrStrings(strings.Split(option("listen", "/ip4/127.0.0.1/udp/0/quic-v1"), ",")...),
		libp2p.UserAgent("go-interop/1"),
		libp2p.Transport(libp2pquic.NewTransport),
		libp2p.Transport(tcp.NewTCPTransport),
		libp2p.ResourceManager(&network.NullResourceManager{}),
		libp2p.DisableMetrics(),
		libp2p.EnableRelay(),
	}
	security := option("sec", "both")
	if security != "noise" {
		options = append(options, libp2p.Security(libp2ptls.ID, libp2ptls.New))
	}
	if security != "tls" {
		options = append(options, libp2p.Security(noise.ID, noise.New))
	}
	if option("relay", "no") == "yes" {
		options = append(options, libp2p.EnableRelayService(relay.WithInfiniteLimits()), libp2p.ForceReachabilityPublic())
	}
	if option("punch", "no") == "yes" {
		observedaddrs.ActivationThresh = 1 // one relay is all that sees us
		options = append(options, libp2p.EnableHolePunching())
	}
	return libp2p.New(options...)
}

func newNode() (*node, error) {
	h, err := newHost()
	if err != nil {
		return nil, err
	}
	n := &node{host: h}
	n.serve()
	if option("autonat", "no") == "yes" {
		if n.autonat, err = startAutonat(h); err != nil {
			return nil, err
		}
	}
	kad := option("kad", "server")
	if kad == "off" {
		return n, nil
	}
	mode := dht.ModeServer
	if kad == "client" {
		mode = dht.ModeClient
	}
	n.dht, err = dht.New(h, dht.Mode(mode), dht.ProtocolPrefix("/interop"), dht.NamespacedValidator("test", anything{}))
	return n, err
}

func (n *node) connect(ctx context.Context, address string) (string, error) {
	info, err := peer.AddrInfoFromString(address)
	if err != nil {
		return "", err
	}
	return "", n.host.Connect(ctx, *info)
}

// handshakes dials and hangs up, without waiting for identify; the answer is the time in us.
func (n *node) handshakes(ctx context.Context, address string, count int) (string, error) {
	info, err := peer.AddrInfoFromString(address)
	if err != nil {
		return "", err
	}
	n.host.Peerstore().AddAddrs(info.ID, info.Addrs, time.Hour)
	begin := time.Now()
	for range count {
		if _, err := n.host.Network().DialPeer(ctx, info.ID); err != nil {
			return "", err
		}
		if err := n.host.Network().ClosePeer(info.ID); err != nil {
			return "", err
		}
	}
	return fmt.Sprint(time.Since(begin).Microseconds()), nil
}

func (n *node) agent(ctx context.Context, id peer.ID) (string, error) {
	for {
		name, err := n.host.Peerstore().Get(id, "AgentVersion")
		protocols, _ := n.host.Peerstore().GetProtocols(id)
		if err == nil && len(protocols) > 0 {
			var all []string
			for _, p := range protocols {
				all = append(all, string(p))
			}
			return fmt.Sprintf("%v|%s", name, strings.Join(all, " ")), nil
		}
		if !pause(ctx) {
			return "", errors.New("no identify")
		}
	}
}

func pause(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(20 * time.Millisecond):
		return true
	}
}

func (n *node) ping(ctx context.Context, id peer.ID) (string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	result, ok := <-ping.Ping(ctx, n.host, id)
	if !ok {
		return "", ctx.Err()
	}
	return fmt.Sprint(result.RTT.Microseconds()), result.Error
}

func (n *node) table(ctx context.Context, id peer.ID) (string, error) {
	for n.dht.RoutingTable().Find(id) == "" {
		if !pause(ctx) {
			return "", errors.New("not in the routing table")
		}
	}
	return "", nil
}

func contentID(text string) cid.Cid {
	hash, _ := multihash.Sum([]byte(text), multihash.SHA2_256, -1)
	return cid.NewCidV1(cid.Raw, hash)
}

func (n *node) find(ctx context.Context, text string) (string, error) {
	var ids []string
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for info := range n.dht.FindProvidersAsync(ctx, contentID(text), 20) {
		ids = append(ids, info.ID.String())
	}
	if len(ids) == 0 {
		return "", errors.New("no providers")
	}
	return strings.Join(ids, " "), nil
}

func (n *node) findPeer(ctx context.Context, id peer.ID) (string, error) {
	info, err := n.dht.FindPeer(ctx, id)
	var addrs []string
	for _, a := range info.Addrs {
		addrs = append(addrs, a.String())
	}
	return strings.Join(addrs, " "), err
}

func (n *node) closest(ctx context.Context, key string) (string, error) {
	found, err := n.dht.GetClosestPeers(ctx, key)
	var ids []string
	for _, id := range found {
		ids = append(ids, id.String())
	}
	return strings.Join(ids, " "), err
}

func (n *node) links() (string, error) {
	var ids []string
	for _, c := range n.host.Network().Conns() {
		ids = append(ids, fmt.Sprintf("%s/%s/%s/%s", c.RemotePeer(), c.ConnState().Transport, c.ConnState().Security, c.ConnState().StreamMultiplexer))
	}
	return strings.Join(ids, " "), nil
}

// reserve asks a relay for a place; the answer is the address at which we are reached through it.
func (n *node) reserve(ctx context.Context, address string) (string, error) {
	info, err := peer.AddrInfoFromString(address)
	if err != nil {
		return "", err
	}
	if err := n.host.Connect(ctx, *info); err != nil {
		return "", err
	}
	if _, err := client.Reserve(ctx, n.host, *info); err != nil {
		return "", err
	}
	return address + "/p2p-circuit/p2p/" + n.host.ID().String(), nil
}

// command answers one line of the command language.
func (n *node) command(ctx context.Context, verb, a, b string) (string, error) {
	switch verb { // those whose first word is no peer id
	case "connect":
		return n.connect(ctx, a)
	case "handshakes":
		return n.handshakes(ctx, a, int(number(b)))
	case "put":
		return "1", n.dht.PutValue(ctx, "/"+strings.TrimPrefix(a, "/"), []byte(b))
	case "get":
		value, err := n.dht.GetValue(ctx, a)
		return string(value), err
	case "provide":
		return "1", n.dht.Provide(ctx, contentID(a), true)
	case "find":
		return n.find(ctx, a)
	case "closest":
		return n.closest(ctx, a)
	case "links":
		return n.links()
	case "reach":
		return n.reach(ctx, a)
	case "reserve":
		return n.reserve(ctx, a)
	case "use":
		return n.use()
	case "resets":
		return fmt.Sprint(n.resets.Load()), nil
	case "seen":
		return fmt.Sprint(n.seen.Load()), nil
	}
	id, err := peer.Decode(a)
	if err != nil {
		return "", err
	}
	switch verb {
	case "agent":
		return n.agent(ctx, id)
	case "ping":
		return n.ping(ctx, id)
	case "table":
		return n.table(ctx, id)
	case "findpeer":
		return n.findPeer(ctx, id)
	case "hangup":
		return "", n.host.Network().ClosePeer(id)
	}
	return n.streamCommand(network.WithAllowLimitedConn(ctx, "interop"), verb, id, b)
}

func number(text string) (value int64) {
	_, _ = fmt.Sscan(text, &value)
	return value
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", " ") }

func main() {
	n, err := newNode()
	if err != nil {
		fmt.Println("FAIL", oneLine(err))
		os.Exit(1)
	}
	fmt.Println("PEER", n.host.ID())
	for _, a := range n.host.Addrs() {
		fmt.Println("ADDR", a.Encapsulate(ma.StringCast("/p2p/"+n.host.ID().String())))
	}
	fmt.Println("READY")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := append(strings.Fields(lines.Text()), "", "", "")
		if words[0] == "quit" {
			break
		}
		ctx, cancel := context.WithTimeout(context.Background(), answerTime)
		answer, err := n.command(ctx, words[0], words[1], words[2])
		cancel()
		if err != nil {
			fmt.Println("FAIL", oneLine(err))
		} else {
			fmt.Println("OK", answer)
		}
	}
	_ = n.host.Close()
}
